using System.Runtime.InteropServices;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Models.Corpora;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.HostedLab;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests;

public sealed class StatisticsTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private const string Hook = "blocks.1.hook_resid_post", Q = "blocks.0.attn.hook_q";

    private static readonly int[][] Rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13], [5, 5, 5, 5, 5]];
    private static readonly Statistic[] All = [.. Enum.GetValues<Statistic>().Where(statistic => statistic != Statistic.Unspecified)];

    [Fact]
    public async Task Collect_Inputs_GivesWhatTheCapturedActivationsGive()
    {
        StatisticsResult result = await StatisticsResult.CollectAsync(lab, Request(Rows[..2], Rows[2..]));

        foreach (string hook in new[] { Hook, Q })
        {
            (float[][] tokens, long[] places) = await CapturedAsync(hook, Rows);
            int channels = tokens[0].Length;
            for (int c = 0; c < channels; c++)
            {
                float[] column = [.. tokens.Select(token => token[c])];
                double mean = column.Average(x => (double)x);
                Number(result, $"{hook}/mean", c).ShouldBe(mean, 1e-5);
                Number(result, $"{hook}/variance", c).ShouldBe(column.Average(x => (x - mean) * (x - mean)), 1e-5);
                Number(result, $"{hook}/min", c).ShouldBe(column.Min(), 1e-5);
                Number(result, $"{hook}/max", c).ShouldBe(column.Max(), 1e-5);
                Number(result, $"{hook}/quantiles", (c * 3) + 1).ShouldBe(column.Order().ElementAt(6), 0.0101 * Math.Abs(column.Order().ElementAt(6)) + 1e-5);
                Number(result, $"{hook}/top_values", c * 2).ShouldBe(column.Max(), 1e-5);
                Number(result, $"{hook}/bottom_values", c * 2).ShouldBe(column.Min(), 1e-5);
                long[] top = [.. MemoryMarshal.Cast<byte, long>(result.Tensors[$"{hook}/top_tokens"].Data.Span).Slice(c * 6, 3)];
                Rows[top[0]][top[1]].ShouldBe((int)top[2]);
                column[Array.IndexOf(places, (top[0] * 100) + top[1])].ShouldBe(column.Max(), 1e-5f);
            }

            double[] norms = [.. tokens.Select(token => Math.Sqrt(token.Sum(x => (double)x * x)))];
            Number(result, $"{hook}/norm", 0).ShouldBe(norms.Average(), 1e-4);
            Number(result, $"{hook}/norm", 3).ShouldBe(norms.Max(), 1e-4);
            double first = tokens.Average(token => (double)token[0]), second = tokens.Average(token => (double)token[1]);
            Number(result, $"{hook}/covariance", 1).ShouldBe(tokens.Average(token => (token[0] - first) * (token[1] - second)), 1e-5);
        }

        result.Tensors[$"{Q}/mean"].Shape.ShouldBe([2, 16]);
        result.Tensors[$"{Q}/top_tokens"].Shape.ShouldBe([2, 16, 2, 3]);
        result.Tensors[$"{Q}/covariance"].Shape.ShouldBe([32, 32]);
        result.Summary.Rows.ShouldBe(4);
        result.Summary.Tokens.ShouldBe(14);
        result.Summary.Hooks.Select(hook => hook.Hook).ShouldBe([Q, Hook]);
        result.Summary.Hooks.ShouldAllBe(hook => hook.Tokens == 14 && hook.NonFiniteTokens == 0 && hook.FirstNonFinite == null);
        result.Progress[^1].ShouldBe(new StatisticsProgress { Rows = 4, TotalRows = 4, Tokens = 14 });
    }

    [Fact]
    public async Task Collect_ByDefault_GivesMeanVarianceAndNorm()
    {
        CollectStatisticsRequest request = Request(Rows);
        request.Statistics.Clear();
        StatisticsResult result = await StatisticsResult.CollectAsync(lab, request);
        result.Tensors.Keys.ShouldBe([$"{Q}/mean", $"{Q}/variance", $"{Q}/norm", $"{Hook}/mean", $"{Hook}/variance", $"{Hook}/norm"]);
        result.State.ShouldBeEmpty();
    }

    [Fact]
    public async Task Merge_Shards_GivesTheWhole()
    {
        CollectStatisticsRequest whole = Request(Rows[..2], Rows[2..]), one = Request(Rows[..2]), two = Request(Rows[2..]);
        (whole.SendState, one.SendState, two.SendState) = (true, true, true);
        StatisticsResult expected = await StatisticsResult.CollectAsync(lab, whole);
        byte[] first = (await StatisticsResult.CollectAsync(lab, one)).State, second = (await StatisticsResult.CollectAsync(lab, two)).State;

        StatisticsResult merged = await StatisticsResult.MergeAsync(lab, [.. StatisticsResult.Parts(0, first), .. StatisticsResult.Parts(1, second)]);

        merged.Tensors.Keys.ShouldBe(expected.Tensors.Keys);
        foreach ((string name, HostTensor tensor) in expected.Tensors)
        {
            // Rows are numbered in each call from 0.
            if (name.EndsWith("tokens", StringComparison.Ordinal)) continue;
            merged.Tensors[name].Shape.ShouldBe(tensor.Shape);
            for (int i = 0; i < tensor.ElementCount; i++) Number(merged, name, i).ShouldBe(Number(expected, name, i), 1e-5, name);
        }

        merged.Summary.Tokens.ShouldBe(14);
        merged.Summary.Rows.ShouldBe(4);
        merged.Summary.ModelDigest.ShouldBe(expected.Summary.ModelDigest);

        StatisticsResult same = await StatisticsResult.MergeAsync(lab, [
            new MergeStatisticsRequest { Options = new MergeStatisticsOptions { SendState = true, Statistics = { Statistic.Quantiles }, Quantiles = { 0.5 } } },
            .. StatisticsResult.Parts(0, expected.State)]);
        same.State.ShouldBe(expected.State);
        same.Tensors.Keys.ShouldBe([$"{Q}/quantiles", $"{Q}/norm_quantiles", $"{Hook}/quantiles", $"{Hook}/norm_quantiles"]);
    }

    [Fact]
    public async Task Collect_CorpusInShards_GivesTheWhole()
    {
        StoredArtifact corpus = await StoreCorpusAsync();
        CollectStatisticsRequest whole = Over(new CorpusInput { Artifact = "corpora/small", RowTokens = 8 }), start = Over(new CorpusInput { Artifact = corpus.Digest, RowTokens = 8, RowCount = 3 }),
            rest = Over(new CorpusInput { Artifact = "corpora/small", RowTokens = 8, FirstRow = 3 });
        (start.Store, rest.Store) = (new StoreStatistics { Name = "statistics/start" }, new StoreStatistics());

        StatisticsResult expected = await StatisticsResult.CollectAsync(lab, whole);
        await StatisticsResult.CollectAsync(lab, start);
        string digest = (await StatisticsResult.CollectAsync(lab, rest)).Summary.ArtifactDigest;
        StatisticsResult merged = await StatisticsResult.MergeAsync(lab, new MergeStatisticsRequest { Artifact = "statistics/start" }, new MergeStatisticsRequest { Artifact = digest });

        using TokenCorpus tokens = TokenCorpus.Open(lab.Store, corpus);
        expected.Summary.Rows.ShouldBe(tokens.Train.Length / 8);
        foreach ((string name, HostTensor tensor) in expected.Tensors)
        {
            for (int i = 0; i < tensor.ElementCount; i++) Number(merged, name, i).ShouldBe(Number(expected, name, i), 1e-4, name);
        }

        long[] top = [.. MemoryMarshal.Cast<byte, long>(expected.Tensors[$"{Hook}/top_tokens"].Data.Span)[..3]], read = [0];
        tokens.Train.Read((top[0] * 8) + top[1], read);
        read[0].ShouldBe(top[2]);

        StoredArtifact stored = await lab.Store.GetAsync(digest, TestContext.Current.CancellationToken);
        stored.Kind.ShouldBe("statistics");
        stored.Provenance.Inputs["corpus"].ShouldBe(corpus.Digest);
        stored.Provenance.Inputs["model"].ShouldBe(expected.Summary.ModelDigest);
        using SafetensorsFile file = SafetensorsFile.Open(lab.Store.GetPath(stored, "statistics.safetensors"));
        file.Read($"{Hook}/mean").DataType.ShouldBe(TensorDataType.Float32);
        file.Read($"{Hook}/top_tokens").DataType.ShouldBe(TensorDataType.Int64);
    }

    [Fact]
    public async Task Collect_InterventionsAndSkippedTokens_Count()
    {
        CollectStatisticsRequest request = Request([[5, Tokenizer.EndOfText, 6], [7]]);
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, Scale = new ScaleOperation { Factor = 0 } });
        (request.SkipFirstToken, request.SkipSpecialTokens) = (true, true);
        StatisticsResult result = await StatisticsResult.CollectAsync(lab, request);
        result.Summary.Hooks[0].Tokens.ShouldBe(1);
        result.Summary.FireCounts.ShouldBe([1]);
        Number(result, $"{Hook}/norm", 3).ShouldBe(0);
        Number(result, $"{Hook}/nonzero", 0).ShouldBe(0);
        Number(result, $"{Q}/norm", 3).ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Collect_WeightEdit_HoldsForTheCallOnly()
    {
        CollectStatisticsRequest request = Request([[5, 6, 7, 8]]), plain = Request([[5, 6, 7, 8]]);
        request.Priority = Priority.High;
        HostTensor bias = HostTensor.FromFloats("", [.. Enumerable.Repeat(2f, 32)], 32);
        string parameter = (await lab.Client.ListParametersAsync(new ListParametersRequest { Model = ModelName }, cancellationToken: TestContext.Current.CancellationToken))
            .Parameters.Single(one => one.Name.EndsWith(".1.mlp.c_proj.weight", StringComparison.Ordinal)).Name;
        request.WeightEdits.Add(new WeightEdit { Parameter = parameter, Bias = new TensorSource { Inline = bias.ToMessage() } });
        StatisticsResult before = await StatisticsResult.CollectAsync(lab, plain), edited = await StatisticsResult.CollectAsync(lab, request), after = await StatisticsResult.CollectAsync(lab, plain);
        edited.Summary.WeightEditFireCounts.ShouldBe([4]);
        Number(edited, $"{Q}/mean", 3).ShouldBe(Number(before, $"{Q}/mean", 3));
        edited.Tensors[$"{Hook}/mean"].ShouldNotBe(before.Tensors[$"{Hook}/mean"]);
        after.Tensors[$"{Hook}/mean"].ShouldBe(before.Tensors[$"{Hook}/mean"]);

        (request.SendState, plain.SendState) = (true, true);
        byte[] one = (await StatisticsResult.CollectAsync(lab, request)).State, two = (await StatisticsResult.CollectAsync(lab, plain)).State;
        RpcException error = await CallErrors.ErrorOf(() => StatisticsResult.MergeAsync(lab, [.. StatisticsResult.Parts(0, one), .. StatisticsResult.Parts(1, two)]));
        error.Field().ShouldBe("state[1]");
    }

    [Fact]
    public async Task Collect_DamagedCorpus_NamesTheArtifact()
    {
        StoredArtifact corpus = await StoreCorpusAsync();
        CollectStatisticsRequest request = Over(new CorpusInput { Artifact = corpus.Digest, RowTokens = 8 });
        await StatisticsResult.CollectAsync(lab, request);
        string path = lab.Store.GetPath(corpus, "train.bin");

        DamagedFiles.FlipLastByte(path);
        RpcException error = await CallErrors.ErrorOf(() => StatisticsResult.CollectAsync(lab, request));
        DamagedFiles.FlipLastByte(path);

        error.StatusCode.ShouldBe(StatusCode.DataLoss);
        error.Status.Detail.ShouldContain(corpus.Digest);
        await StatisticsResult.CollectAsync(lab, request);
    }

    [Fact]
    public async Task Collect_Freeze_RunsWithATwin()
    {
        CollectStatisticsRequest request = Request([[5, 6, 7, 8], [9, 10]]), plain = Request([[5, 6, 7, 8], [9, 10]]);
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_pre" }, Scale = new ScaleOperation { Factor = 2 } });
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "blocks.1.hook_resid_pre" }, Freeze = new FreezeOperation() });
        StatisticsResult frozen = await StatisticsResult.CollectAsync(lab, request), expected = await StatisticsResult.CollectAsync(lab, plain);
        for (int c = 0; c < 32; c++) Number(frozen, $"{Hook}/mean", c).ShouldBe(Number(expected, $"{Hook}/mean", c), 1e-5);
        frozen.Tensors[$"{Q}/mean"].ShouldNotBe(expected.Tensors[$"{Q}/mean"]);
    }

    [Fact]
    public async Task Collect_NonFinite_IsReported()
    {
        CollectStatisticsRequest request = Request([[5, 6, 7]], [[8, 9]]);
        request.Selectors.RemoveAt(1);
        HostTensor huge = HostTensor.FromFloats("", [float.MaxValue]);
        for (int i = 0; i < 2; i++)
        {
            request.Interventions.Add(new Proto.Intervention
            {
                Selector = new Selector { Hook = "blocks.1.hook_resid_post", Positions = { 1 } },
                Add = new AddOperation { Value = new TensorSource { Inline = huge.ToMessage() }, Coefficient = 1 },
            });
        }

        StatisticsResult result = await StatisticsResult.CollectAsync(lab, request);
        HookStatistics hook = result.Summary.Hooks.ShouldHaveSingleItem();
        hook.Tokens.ShouldBe(3);
        hook.NonFiniteTokens.ShouldBe(2);
        hook.FirstNonFinite.ShouldBe(new TokenPlace { Row = 0, Position = 1, TokenId = 6 });
        double.IsFinite(Number(result, $"{Hook}/mean", 0)).ShouldBeTrue();
    }

    private static CollectStatisticsRequest Request(params int[][][] batches) => new()
    {
        Model = ModelName,
        Inputs = { batches.Select(rows => HostedLab.Request(rows).Input) },
        Selectors = { new Selector { Hook = Hook }, new Selector { Hook = "0.attn.q" } },
        Statistics = { All },
        Quantiles = { 0, 0.5, 1 },
        TopK = 2,
    };

    private static CollectStatisticsRequest Over(CorpusInput corpus)
    {
        CollectStatisticsRequest request = Request();
        request.Corpus = corpus;
        return request;
    }

    private static double Number(StatisticsResult result, string name, int index)
    {
        HostTensor tensor = result.Tensors[name];
        return tensor.DataType switch
        {
            TensorDataType.Float64 => MemoryMarshal.Cast<byte, double>(tensor.Data.Span)[index],
            TensorDataType.Int64 => MemoryMarshal.Cast<byte, long>(tensor.Data.Span)[index],
            _ => tensor.Floats[index],
        };
    }

    /// <summary>The activations of all tokens, each with 100 times its row plus its position.</summary>
    private async Task<(float[][] Tokens, long[] Places)> CapturedAsync(string hook, int[][] rows)
    {
        RunRequest run = HostedLab.Request(rows);
        run.Captures.Add(new Selector { Hook = hook });
        HostTensor captured = (await lab.RunAsync(run)).Tensors.Single();
        int length = (int)captured.Shape[1], channels = (int)(captured.ElementCount / captured.Shape[0] / length);
        (float[] Values, long Place)[] tokens = [.. rows.SelectMany((ids, row) => ids.Select((_, position) =>
            (captured.Floats.Slice(((row * length) + position) * channels, channels).ToArray(), (row * 100L) + position)))];
        return ([.. tokens.Select(token => token.Values)], [.. tokens.Select(token => token.Place)]);
    }

    private async Task<StoredArtifact> StoreCorpusAsync()
    {
        StoredArtifact corpus = await lab.Store.PutAsync(
            TokenCorpus.Kind,
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                using TokenCorpusWriter writer = new(folder, Tokenizer);
                for (int i = 0; i < 30; i++) writer.Append("the cat sat on the mat, the cat sat", isHeldOut: i % 10 == 0);
                writer.Complete(info => info);
                return Task.CompletedTask;
            },
            TestContext.Current.CancellationToken);
        await lab.Store.SetNameAsync("corpora/small", corpus.Digest, TestContext.Current.CancellationToken);
        return corpus;
    }
}
