using Grpc.Core;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;
using static TorchSharp.torch;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests;

public sealed class GenerateTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static GenerateRequest NewRequest(params int[] prompt) => new()
    {
        Model = ModelName,
        IgnoreEos = true,
        Prompt = new Input { Tokens = new TokenRows { Rows = { new TokenRow { Ids = { prompt } } } } },
    };

    private async Task<List<SampledToken>> GenerateAsync(GenerateRequest request) => (await lab.GenerateAsync(request)).Tokens;

    [Fact]
    public async Task Generate_Greedy_PicksTheMostLikelyTokens()
    {
        List<SampledToken> generated = await GenerateAsync(NewRequest(1, 2, 3));

        using Transformer gpt = NewModel();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        List<int> tokens = [1, 2, 3];
        generated.Count.ShouldBe(16);
        for (int step = 0; step < 16; step++)
        {
            TorchSharp.torch.Tensor last = gpt.Forward(new TokenBatch(Config, [[.. tokens]]).ToTensor(CPU))[0][-1];
            generated[step].Step.ShouldBe(step);
            generated[step].Id.ShouldBe((int)last.argmax().item<long>());
            generated[step].Logprob.ShouldBe(last.log_softmax(-1)[generated[step].Id].item<float>(), 1e-4f);
            tokens.Add(generated[step].Id);
        }

        string.Concat(generated.Select(token => token.Text)).ShouldBe(Tokenizer.Decode([.. tokens[3..]]));
    }

    [Fact]
    public async Task Generate_EqualSeeds_GiveEqualTokensAndOthersDoNot()
    {
        GenerateRequest request = NewRequest(1);
        (request.Temperature, request.Seed, request.MaxNewTokens) = (1.5f, 11, 32);

        int[] first = [.. (await GenerateAsync(request)).Select(token => token.Id)];
        int[] again = [.. (await GenerateAsync(request)).Select(token => token.Id)];
        request.Seed = 12;
        int[] other = [.. (await GenerateAsync(request)).Select(token => token.Id)];

        again.ShouldBe(first);
        other.ShouldNotBe(first);
    }

    [Fact]
    public async Task Generate_StopToken_IsTheLast()
    {
        GenerateRequest request = NewRequest(1, 2, 3);
        int third = (await GenerateAsync(request))[2].Id;
        int first = (await GenerateAsync(request)).FindIndex(token => token.Id == third);
        request.StopTokens.Add(third);

        List<SampledToken> generated = await GenerateAsync(request);

        generated.Count.ShouldBe(first + 1);
        generated[^1].Id.ShouldBe(third);
    }

    [Fact]
    public async Task Generate_UnembeddingSteeredToAToken_GivesThatToken()
    {
        using Transformer gpt = NewModel();
        float[] direction = gpt.Weights.Unembedding.Value[42].ToHost("").Floats.ToArray();
        GenerateRequest request = NewRequest(1, 2, 3);
        request.MaxNewTokens = 4;
        request.Interventions.Add(new Proto.Intervention
        {
            Selector = new Selector { Hook = "ln_final.hook_normalized", Positions = { -1 } },
            Add = new AddOperation { Value = new TensorSource { Inline = HostTensor.FromFloats("", [.. direction.Zip(gpt.Weights.LnFinal.Gain.Value.ToHost("").Floats.ToArray(), (d, gain) => d / gain)], 32).ToMessage() }, Coefficient = 1000 },
        });

        (await GenerateAsync(request)).ShouldAllBe(token => token.Id == 42);
    }

    [Fact]
    public async Task Generate_InterventionAtAPositionReachedLater_FiresFromThenOn()
    {
        GenerateRequest request = NewRequest(1, 2);
        request.MaxNewTokens = 4;
        List<SampledToken> plain = await GenerateAsync(request);
        request.Interventions.Add(new Proto.Intervention
        {
            Selector = new Selector { Hook = "blocks.1.hook_resid_post", Positions = { 3 } },
            Set = new SetOperation { Value = new TensorSource { Inline = HostTensor.FromFloats("", [.. Enumerable.Range(0, 32).Select(i => (i * 7 % 5) - 2f)], 32).ToMessage() } },
        });

        List<SampledToken> changed = await GenerateAsync(request);

        // Token 2 is predicted at position 3, the first that the intervention reaches.
        changed.Take(2).ShouldBe(plain.Take(2));
        changed[2].Logprob.ShouldNotBe(plain[2].Logprob);
    }

    [Fact]
    public async Task Generate_InterventionThatNeverFires_FailsUnlessAllowed()
    {
        GenerateRequest request = NewRequest(1, 2);
        request.MaxNewTokens = 4;
        int stop = (await GenerateAsync(request))[0].Id;
        request.StopTokens.Add(stop);
        Proto.Intervention never = new() { Selector = new Selector { Hook = "hook_embed", Positions = { 4 } }, Zero = new ZeroOperation() };
        request.Interventions.Add(never);

        RpcException e = await ErrorOf(() => GenerateAsync(request));
        never.AllowUnfired = true;

        e.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        e.Reason().ShouldBe("INTERVENTION_NOT_FIRED");
        (await GenerateAsync(request)).Count.ShouldBe(1);
    }

    public static TheoryData<string, Action<GenerateRequest>> BadRequests => new()
    {
        { "prompt", request => request.Prompt = null },
        { "prompt", request => request.Prompt.Tokens.Rows.Add(new TokenRow { Ids = { 1 } }) },
        { "prompt.tokens.rows[0].ids[0]", request => request.Prompt.Tokens.Rows[0].Ids[0] = -1 },
        { "max_new_tokens", request => request.MaxNewTokens = 63 },
        { "max_new_tokens", request => request.MaxNewTokens = -1 },
        { "temperature", request => request.Temperature = float.NaN },
        { "top_k", request => request.TopK = -1 },
        { "stop_tokens[1]", request => request.StopTokens.Add([1, Config.DVocab]) },
        { "interventions[0].selector.positions[0]", request => request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "hook_embed", Positions = { 17 } }, Zero = new ZeroOperation() }) },
        { "interventions[0].set.value", request => request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "hook_embed" }, Set = new SetOperation { Value = new TensorSource { Inline = HostTensor.FromFloats("", new float[64], 1, 2, 32).ToMessage() } } }) },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Generate_BadRequest_NamesTheField(string field, Action<GenerateRequest> spoil)
    {
        GenerateRequest request = NewRequest(1, 2);
        spoil(request);

        (await ErrorOf(() => GenerateAsync(request))).Field().ShouldBe(field);
    }
}
