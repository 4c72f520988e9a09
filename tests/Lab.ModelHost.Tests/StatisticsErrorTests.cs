using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Passes;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using static Lab.ModelHost.Tests.HostedLab;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests;

public sealed class StatisticsErrorTests(HostedLab lab) : IClassFixture<HostedLab>
{
    public static readonly TheoryData<string, Action<CollectStatisticsRequest>> Wrong = new()
    {
        { "inputs", request => request.Inputs.Clear() },
        { "inputs", request => request.Corpus = new CorpusInput { Artifact = "corpora/a" } },
        { "inputs[1].tokens.rows[0].ids[1]", request => request.Inputs.Add(Request([1, 9999]).Input) },
        { "selectors", request => request.Selectors.Clear() },
        { "selectors[0].hook", request => request.Selectors[0].Hook = "nothing" },
        { "selectors[0].positions[0]", request => request.Selectors[0].Positions.Add(3) },
        { "selectors", request => request.Selectors[0] = new Selector { Hook = "blocks.0.attn.hook_pattern" } },
        { "selectors", request => request.Selectors.Add(request.Selectors[0]) },
        { "statistics[0]", request => request.Statistics.Insert(0, (Statistic)99) },
        { "quantiles[0]", request => request.Quantiles.Add(1.5) },
        { "quantile_error", request => request.QuantileError = 0.5 },
        { "top_k", request => request.TopK = 1025 },
        { "budget.max_tokens", request => request.Budget = new Budget { MaxTokens = -1 } },
        { "store.name", request => request.Store = new StoreStatistics { Name = "no name" } },
        { "interventions[0].selector.hook", request => request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "nothing" }, Zero = new ZeroOperation() }) },
        { "corpus.artifact", request => Corpus(request, new CorpusInput { Artifact = ModelName }) },
        { "selectors[0].rows", request => { Corpus(request, new CorpusInput { Artifact = ModelName }); request.Selectors[0].Rows.Add(0); } },
        { "interventions[0].mean.value", request => { Corpus(request, new CorpusInput { Artifact = ModelName }); request.Interventions.Add(new Proto.Intervention { Mean = new MeanOperation() }); } },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Collect_WrongField_IsNamed(string field, Action<CollectStatisticsRequest> spoil)
    {
        CollectStatisticsRequest request = Good();
        spoil(request);
        (await CallErrors.ErrorOf(() => StatisticsResult.CollectAsync(lab, request))).Field().ShouldBe(field);
    }

    [Fact]
    public async Task Collect_UnknownCorpus_IsNotFoundAndNamesTheField()
    {
        CollectStatisticsRequest request = Good();
        Corpus(request, new CorpusInput { Artifact = "corpora/none" });
        RpcException error = await CallErrors.ErrorOf(() => StatisticsResult.CollectAsync(lab, request));
        error.StatusCode.ShouldBe(StatusCode.NotFound);
        ErrorInfo info = error.GetRpcStatus().ShouldNotBeNull().GetDetail<ErrorInfo>().ShouldNotBeNull();
        info.Metadata["field"].ShouldBe("corpus.artifact");
        info.Metadata["resource_name"].ShouldBe("corpora/none");
    }

    [Fact]
    public async Task Collect_AboveABudget_IsRefused()
    {
        async Task<string> ReasonAsync(Budget budget)
        {
            CollectStatisticsRequest request = Good();
            request.Budget = budget;
            return (await CallErrors.ErrorOf(() => StatisticsResult.CollectAsync(lab, request))).Reason();
        }

        (await ReasonAsync(new Budget { MaxTokens = 2 })).ShouldBe("TOKEN_BUDGET_EXCEEDED");
        (await ReasonAsync(new Budget { MaxBytes = 100 })).ShouldBe("BYTE_BUDGET_EXCEEDED");
    }

    [Fact]
    public async Task Merge_BadStates_NamesThem()
    {
        CollectStatisticsRequest request = Good(), other = Good();
        (request.SendState, other.SendState) = (true, true);
        other.SkipFirstToken = true;
        byte[] good = (await StatisticsResult.CollectAsync(lab, request)).State, different = (await StatisticsResult.CollectAsync(lab, other)).State;

        async Task<string> FieldAsync(params MergeStatisticsRequest[] requests) => (await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, requests))).Field();
        MergeStatisticsRequest options = new() { Options = new MergeStatisticsOptions { Statistics = { Statistic.Covariance } } };
        (await FieldAsync()).ShouldBe("request");
        (await FieldAsync(new MergeStatisticsRequest())).ShouldBe("request");
        (await FieldAsync([.. StatisticsResult.Parts(0, good), .. StatisticsResult.Parts(1, different)])).ShouldBe("state[1]");
        (await FieldAsync([.. StatisticsResult.Parts(0, good[..^1])])).ShouldBe("state[0]");
        (await FieldAsync([.. StatisticsResult.Parts(1, good)])).ShouldBe("state.index");
        (await FieldAsync([.. StatisticsResult.Parts(0, good), options])).ShouldBe("options");
        (await FieldAsync([options, .. StatisticsResult.Parts(0, good)])).ShouldBe("options.statistics");
        (await FieldAsync(new MergeStatisticsRequest { Artifact = ModelName })).ShouldBe("artifact");
        (await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, new MergeStatisticsRequest { Artifact = "statistics/none" }))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Merge_MemoryHeldByOthers_IsToComeAgain()
    {
        CollectStatisticsRequest request = Good();
        request.SendState = true;
        request.Store = new StoreStatistics { Name = "statistics/held" };
        byte[] good = (await StatisticsResult.CollectAsync(lab, request)).State;
        RunLimits limits = lab.Host.Services.GetRequiredService<RunLimits>();
        long most = lab.Host.Services.GetRequiredService<IOptions<ModelHostOptions>>().Value.MaxHeldBytes;
        MergeStatisticsRequest[][] merges = [[.. StatisticsResult.Parts(0, good)], [new MergeStatisticsRequest { Artifact = "statistics/held" }]];
        foreach (MergeStatisticsRequest[] merge in merges)
        {
            using (limits.Hold(most - good.Length + 1))
            {
                RpcException error = await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, merge));
                error.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
                error.Reason().ShouldBe("MEMORY_BUSY");
                error.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
            }

            limits.HeldBytes.ShouldBe(0);
            (await StatisticsResult.MergeAsync(lab, merge)).Summary.Tokens.ShouldBe(6);
        }

        limits.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Merge_StateWhoseBytesGrowInMemory_CountsWhatItTakesThere()
    {
        CollectStatisticsRequest request = Good();
        request.SendState = true;
        byte[] good = (await StatisticsResult.CollectAsync(lab, request)).State;
        RunLimits limits = lab.Host.Services.GetRequiredService<RunLimits>();
        long most = lab.Host.Services.GetRequiredService<IOptions<ModelHostOptions>>().Value.MaxHeldBytes;

        // Enough for the bytes and their buffer, not for the quantiles' buckets too.
        using (limits.Hold(most - (2 * good.Length) - 1))
            (await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, [.. StatisticsResult.Parts(0, good)]))).Reason().ShouldBe("MEMORY_BUSY");
    }

    [Fact]
    public async Task Merge_DamagedArtifact_IsNamed()
    {
        CollectStatisticsRequest request = Good();
        request.Store = new StoreStatistics { Name = "statistics/damaged" };
        await StatisticsResult.CollectAsync(lab, request);
        StoredArtifact artifact = await lab.Store.GetAsync("statistics/damaged", TestContext.Current.CancellationToken);
        DamagedFiles.FlipLastByte(lab.Store.GetPath(artifact, "statistics.state"));

        RpcException error = await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, new MergeStatisticsRequest { Artifact = "statistics/damaged" }));

        error.StatusCode.ShouldBe(StatusCode.DataLoss);
        error.Status.Detail.ShouldContain(artifact.Digest);
    }

    [Fact]
    public async Task Merge_MutatedStates_AreRefusedOrMerged()
    {
        CollectStatisticsRequest request = Good();
        request.SendState = true;
        byte[] good = (await StatisticsResult.CollectAsync(lab, request)).State;
        Random random = new(4);
        for (int i = 0; i < 300; i++)
        {
            byte[] bad = [.. good];
            for (int changes = random.Next(1, 4); changes > 0; changes--) bad[random.Next(i % 2 == 0 ? bad.Length : Math.Min(1500, bad.Length))] = (byte)random.Next(256);
            try
            {
                await StatisticsResult.MergeAsync(lab, [.. StatisticsResult.Parts(0, bad)]);
            }
            catch (RpcException e)
            {
                e.StatusCode.ShouldBe(StatusCode.InvalidArgument, e.Status.Detail);
            }
        }
    }

    private static CollectStatisticsRequest Good() => new()
    {
        Model = ModelName,
        Inputs = { Request([1, 2, 3], [4, 5, 6]).Input },
        Selectors = { new Selector { Hook = "blocks.0.hook_resid_pre", Channels = { 1, 2, 3 } } },
        Statistics = { Statistic.Mean, Statistic.Quantiles, Statistic.TopTokens },
    };

    private static void Corpus(CollectStatisticsRequest request, CorpusInput corpus)
    {
        request.Inputs.Clear();
        request.Corpus = corpus;
    }
}
