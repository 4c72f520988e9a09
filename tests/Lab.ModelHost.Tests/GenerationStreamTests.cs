using Grpc.Core;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Microsoft.Extensions.DependencyInjection;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class GenerationStreamTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static GenerateRequest NewRequest(int newTokens, params int[] prompt) => new()
    {
        Model = ModelName,
        MaxNewTokens = newTokens,
        IgnoreEos = true,
        Prompt = new Input { Tokens = new TokenRows { Rows = { new TokenRow { Ids = { prompt } } } } },
    };

    private static Intervention Steer(int i) => new()
    {
        Selector = new Selector { Hook = $"blocks.{i % 2}.hook_mlp_out", Positions = { i % 3 == 0 ? [] : [-1] } },
        Scale = new ScaleOperation { Factor = 1.5f + (i / 10f) },
    };

    private static void ShouldBeClose(HostTensor actual, ReadOnlySpan<float> expected)
    {
        actual.ElementCount.ShouldBe(expected.Length);
        for (int i = 0; i < expected.Length; i++) ((double)Math.Abs(actual.Floats[i] - expected[i])).ShouldBeLessThanOrEqualTo(1e-5 * (1 + Math.Abs(expected[i])), actual.Name);
    }

    [Fact]
    public async Task Generate_Captures_ComeBeforeTheirTokenAndEqualARunOverAllTokens()
    {
        GenerateRequest request = NewRequest(5, 7, 8, 9);
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post" });
        request.Captures.Add(new Selector { Hook = "blocks.0.attn.hook_pattern" });
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_mlp_out" }, Scale = new ScaleOperation { Factor = 2 } });

        GenerateReply reply = await lab.GenerateAsync(request);

        RunRequest run = Request([7, 8, 9, .. reply.Tokens.Take(4).Select(token => token.Id)]);
        run.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post" });
        run.Captures.Add(new Selector { Hook = "blocks.0.attn.hook_pattern" });
        run.Interventions.Add(request.Interventions);
        List<HostTensor> whole = (await lab.RunAsync(run)).Tensors;
        reply.Tensors.Select(one => (one.Step, one.Before, one.Tensor.Name)).ShouldBe(
            Enumerable.Range(0, 5).SelectMany(pass => new[] { (pass == 0 ? (int?)null : pass - 1, pass, whole[0].Name), (pass == 0 ? null : pass - 1, pass, whole[1].Name) }));
        for (int pass = 1; pass < 5; pass++)
        {
            int position = 2 + pass;
            HostTensor pattern = reply.Tensors[2 * pass].Tensor, residual = reply.Tensors[(2 * pass) + 1].Tensor;
            residual.Shape.ShouldBe([1, 1, 32]);
            ShouldBeClose(residual, whole[1].Floats.Slice(position * 32, 32));
            pattern.Shape.ShouldBe([1, 2, 1, position + 1]);
            float[] rows = [.. Enumerable.Range(0, 2).SelectMany(head => whole[0].Floats.Slice(((head * 7) + position) * 7, position + 1).ToArray())];
            ShouldBeClose(pattern, rows);
        }

        reply.Finished!.FireCounts.ShouldBe([5]);
    }

    [Fact]
    public async Task Generate_ConcurrentSequences_ShareStepsAndEqualTheirSoloRuns()
    {
        GenerateRequest[] requests = [.. Enumerable.Range(0, 6).Select(i =>
        {
            GenerateRequest request = NewRequest(6 + (4 * i), [.. Enumerable.Range(1, 1 + (3 * i % 7))]);
            request.Interventions.Add(Steer(i));
            (request.Temperature, request.Seed, request.TopLogprobs) = (i % 2, i, 2);
            return request;
        })];
        List<GenerateReply> alone = [];
        foreach (GenerateRequest request in requests) alone.Add(await lab.GenerateAsync(request));

        using ModelLease lease = await lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
        using ManualResetEventSlim release = new();
        Task blocking = lease.Model.Worker.RunAsync(_ => release.Wait(CancellationToken.None), TestContext.Current.CancellationToken);
        Task<GenerateReply>[] begun = [.. requests.Select(request => lab.GenerateAsync(request))];
        while (lease.Model.Scheduler.State.Length < requests.Length) await Task.Yield();
        release.Set();
        GenerateReply[] together = await Task.WhenAll(begun);
        await blocking;

        for (int i = 0; i < requests.Length; i++)
        {
            together[i].Tokens.Select(token => token.Id).ShouldBe(alone[i].Tokens.Select(token => token.Id));
            foreach ((SampledToken a, SampledToken e) in together[i].Tokens.Zip(alone[i].Tokens))
            {
                a.Logprob.ShouldBe(e.Logprob, 1e-4f);
                a.Top.Select(top => top.Id).ShouldBe(e.Top.Select(top => top.Id));
            }

            together[i].Finished!.FireCounts.ShouldBe(alone[i].Finished!.FireCounts);
            together[i].Finished!.Text.ShouldBe(alone[i].Finished!.Text);
            together[i].Finished!.BatchedRequests.ShouldBeGreaterThan(1);
        }

        lab.Host.Services.GetRequiredService<RunLimits>().CacheBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Generate_TopLogprobs_StartWithTheGreedyToken()
    {
        GenerateRequest request = NewRequest(4, 1, 2);
        request.TopLogprobs = 3;

        foreach (SampledToken token in (await lab.GenerateAsync(request)).Tokens)
        {
            token.Top.Count.ShouldBe(3);
            (token.Top[0].Id, token.Top[0].Logprob).ShouldBe((token.Id, token.Logprob));
            token.Top[1].Logprob.ShouldBeLessThanOrEqualTo(token.Top[0].Logprob);
        }
    }

    [Fact]
    public async Task Generate_StopText_EndsWithTheTokenThatCompletedIt()
    {
        GenerateReply free = await lab.GenerateAsync(NewRequest(24, 3, 4));
        string text = free.Finished!.Text;
        string stop = text.Substring(text.Length / 2, 2);
        GenerateRequest request = NewRequest(24, 3, 4);
        request.StopTexts.Add(stop);

        GenerateReply reply = await lab.GenerateAsync(request);

        reply.Finished!.Reason.ShouldBe(FinishReason.StopText);
        reply.Finished.Text.ShouldContain(stop);
        string.Concat(reply.Tokens.SkipLast(1).Select(token => token.Text)).ShouldNotContain(stop);
        free.Finished.Reason.ShouldBe(FinishReason.MaxNewTokens);
    }

    [Fact]
    public async Task Generate_EndToken_EndsUnlessIgnored()
    {
        // The end token is made the most likely one at the third new token.
        GenerateRequest request = NewRequest(6, 3, 4);
        using Lab.Models.Transformer model = NewModel();
        float[] direction = model.Weights.Unembedding.Value[Tokenizer.EndOfText].ToHost("").Floats.ToArray();
        request.Interventions.Add(new Intervention
        {
            Selector = new Selector { Hook = "unembed.hook_in", Positions = { 3 } },
            Set = new SetOperation { Value = new TensorSource { Inline = HostTensor.FromFloats("", [.. direction.Select(x => 100 * x)], 32).ToMessage() } },
        });

        GenerateReply ignored = await lab.GenerateAsync(request);
        request.IgnoreEos = false;
        GenerateReply ended = await lab.GenerateAsync(request);

        ignored.Tokens[2].Id.ShouldBe(Tokenizer.EndOfText);
        ignored.Tokens.Count.ShouldBe(6);
        ended.Tokens.Select(token => token.Id).ShouldBe(ignored.Tokens.Take(3).Select(token => token.Id));
        ended.Finished!.Reason.ShouldBe(FinishReason.StopToken);
    }

    [Fact]
    public async Task Generate_FreezeInThePrompt_DecodesFromTheFrozenPromptsKeysAndValues()
    {
        // What would be changed in the prompt is frozen at once, so that the rest is as if nothing was.
        GenerateRequest request = NewRequest(4, 3, 4, 5);
        GenerateReply plain = await lab.GenerateAsync(request);
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed", Phase = Phase.Prefill }, Scale = new ScaleOperation { Factor = 3 } });
        GenerateReply scaled = await lab.GenerateAsync(request);
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed", Phase = Phase.Prefill }, Freeze = new FreezeOperation() });

        GenerateReply frozen = await lab.GenerateAsync(request);

        frozen.Tokens.Select(token => token.Id).ShouldBe(plain.Tokens.Select(token => token.Id));
        foreach ((SampledToken a, SampledToken e) in frozen.Tokens.Zip(plain.Tokens)) a.Logprob.ShouldBe(e.Logprob, 1e-5f);
        Math.Abs(scaled.Tokens[0].Logprob - plain.Tokens[0].Logprob).ShouldBeGreaterThan(1e-3f);
        frozen.Finished!.FireCounts.ShouldBe([1, 1]);
    }

    [Theory]
    [InlineData("BYTE_BUDGET_EXCEEDED", 100, 0, 0)]
    [InlineData("TOKEN_BUDGET_EXCEEDED", 0, 2, 0)]
    [InlineData("TOKEN_BUDGET_EXCEEDED", 0, 5, 3)]
    public async Task Generate_AboveABudget_FailsAsSoonAsItIs(string reason, long bytes, long tokens, int before)
    {
        GenerateRequest request = NewRequest(8, 3, 4);
        request.Captures.Add(new Selector { Hook = "blocks.0.hook_resid_pre" });
        request.Budget = new Budget { MaxBytes = bytes, MaxTokens = tokens };
        using AsyncServerStreamingCall<GenerateResponse> call = lab.Client.Generate(request, cancellationToken: TestContext.Current.CancellationToken);
        int generated = 0;

        RpcException e = await ErrorOf(async () =>
        {
            await foreach (GenerateResponse response in call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) generated += response.Token is null ? 0 : 1;
        });

        (e.StatusCode, e.Reason(), generated).ShouldBe((StatusCode.ResourceExhausted, reason, before));
    }
    [Theory]
    [InlineData(new[] { -1, 3, -1 }, new int[0], 3)]
    [InlineData(new int[0], new[] { 0, 0 }, 2)]
    public async Task Generate_TokenThatACaptureNamesSeveralTimes_CountsEachTime(int[] positions, int[] rows, int times)
    {
        GenerateRequest request = NewRequest(2, 3, 4, 5);
        request.Captures.Add(new Selector { Hook = "blocks.0.hook_resid_pre", Positions = { positions }, Rows = { rows }, Phase = Phase.Decode });
        long bytes = 32 * sizeof(float) * times;
        request.Budget = new Budget { MaxBytes = bytes };

        GenerateReply reply = await lab.GenerateAsync(request);

        reply.Tensors.Single().Tensor.Data.Length.ShouldBe((int)bytes);
        request.Budget.MaxBytes--;
        (await ErrorOf(() => lab.GenerateAsync(request))).Reason().ShouldBe("BYTE_BUDGET_EXCEEDED");
    }
}
