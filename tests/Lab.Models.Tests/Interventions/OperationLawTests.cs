using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>Noise, freeze and skip: operations that are more than a function of one token's channels.</summary>
public sealed class OperationLawTests
{
    private static readonly int[][] Rows = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8]];

    private static readonly Intervention Steer = new(
        new ActivationSelector("hook_embed"), new InterventionOperation.Add(HostTensor.FromFloats("", [2, -1, 3, 0, 1, 1, -2, 4, 0, 1, -3, 2, 1, 0, 2, -1], 16)));

    public static TheoryData<string> Names => RandomModels.Names;

    private static Intervention At(string hook, InterventionOperation operation) => new(new ActivationSelector(hook), operation);

    [Theory]
    [MemberData(nameof(Names))]
    public void Noise_BatchedPaddedCachedOrAlone_IsTheSame(string name)
    {
        using Transformer model = RandomModels.Create(name);
        int[] row = Rows[0];
        Intervention noise = new(new ActivationSelector("blocks.*.hook_resid_*"), new InterventionOperation.Noise(0.5f, 11));
        HostTensor alone = TestPass.Run(model, [row], [], noise).Logits;

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        HostTensor batched = TestPass.Run(model, [row, .. Rows, [1, 2, 3, 4, 5, 6, 7]], [], noise).Logits;
        batched.ToTorch().narrow(0, 0, 1).narrow(1, 0, 5).ToHost("logits").ShouldBeClose(alone, 2e-5);

        using SequenceCache cache = new(model, 5);
        ForwardPlan prefill = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, [row[..2]]), [], [noise], reach: 5);
        List<Tensor> logits = [];
        for (int past = 0; past < 5; past = past == 0 ? 2 : past + 1)
        {
            ForwardPlan plan = past == 0 ? prefill : prefill.AtStep(new TokenBatch(model.Config, [[row[past]]]), new StepPosition(past, past - 2));
            using InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths);
            logits.Add(model.Forward(new ForwardInput(plan.Batch.ToTensor(CPU)) { Caches = [cache] }, tap)!);
        }

        cat([.. logits], 1).ToHost("logits").ShouldBeClose(alone, 2e-5);
    }

    [Fact]
    public void Noise_OfSomeChannels_IsThatOfAll()
    {
        double[] all = new double[64], some = new double[3];
        GaussianNoise.Fill(all, 5, "hook_embed", 2, 7, [.. Enumerable.Range(0, 64).Select(c => (long)c)]);
        GaussianNoise.Fill(some, 5, "hook_embed", 2, 7, [40, 3, 41]);

        some.ShouldBe([all[40], all[3], all[41]]);
    }

    [Fact]
    public void Noise_Places_AreIndependentAndNormal()
    {
        const int Channels = 256;
        long[] channels = [.. Enumerable.Range(0, Channels).Select(c => (long)c)];
        double[] Of(long seed, string hook, int row, int position)
        {
            double[] values = new double[Channels];
            GaussianNoise.Fill(values, seed, hook, row, position, channels);
            return values;
        }

        double[] sample = [.. Enumerable.Range(0, 400).SelectMany(position => Of(1, "hook_embed", 0, position))];
        double[][] others = [Of(2, "hook_embed", 0, 0), Of(1, "hook_pos_embed", 0, 0), Of(1, "hook_embed", 1, 0), Of(1, "hook_embed", 0, 1)];

        // 102,400 numbers: the bounds are five standard errors.
        sample.Average().ShouldBe(0, 0.016);
        sample.Average(x => x * x).ShouldBe(1, 0.023);
        sample.Average(x => x * x * x * x).ShouldBe(3, 0.16);
        sample.Max().ShouldBeInRange(3.5, 6);
        foreach (double[] other in others) Of(1, "hook_embed", 0, 0).Zip(other, (a, b) => a * b).Average().ShouldBe(0, 0.32);
        Of(1, "hook_embed", 0, 0).ShouldBe(sample[..Channels]);
    }

    [Theory]
    [InlineData("blocks.1.hook_resid_mid", new int[0])]
    [InlineData("blocks.1.hook_resid_mid", new[] { 3, 9, 1 })]
    [InlineData("blocks.1.attn.hook_z", new int[0])]
    public void Noise_InUnitsOfTheNorm_HasThatRootMeanSquare(string hook, int[] channels)
    {
        using Transformer model = RandomModels.Create("llama");
        ActivationSelector all = new(hook);
        HostTensor before = TestPass.Capture(model, Rows, hook);

        HostTensor after = TestPass.Run(model, Rows, [all], new Intervention(all with { Channels = channels }, new InterventionOperation.Noise(0.25f, 3, StrengthUnit.ResidualNorm))).Captured[0];

        using var scope = NewDisposeScope();
        Tensor x = before.ToTorch()[0], noise = after.ToTorch()[0] - x;
        Tensor changed = channels.Length == 0 ? noise : noise.index_select(-1, tensor(channels, dtype: ScalarType.Int64));
        Tensor ratio = changed.square().mean([-1]).sqrt() / x.square().mean([-1]).sqrt();
        (ratio - 0.25).abs().max().item<float>().ShouldBeLessThan(1e-5f);
        if (channels.Length > 0) noise.count_nonzero().item<long>().ShouldBe(5 * channels.Length);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Freeze_PatternAndScales_EqualsSettingThoseOfTheCleanRun(string name)
    {
        using Transformer model = RandomModels.Create(name);
        string[] hooks = ["blocks.*.attn.hook_pattern", "blocks.*.ln1.hook_scale", "ln_final.hook_scale"];
        IReadOnlyList<HostTensor> clean = TestPass.Run(model, Rows, [.. hooks.Select(hook => new ActivationSelector(hook))]).Captured;
        ActivationSelector last = new($"blocks.{model.Config.NLayers - 1}.hook_resid_post");

        PassResult frozen = TestPass.Run(model, Rows, [last], [Steer, .. hooks.Select(hook => At(hook, new InterventionOperation.Freeze()))]);
        PassResult set = TestPass.Run(model, Rows, [last], [Steer, .. clean.Select(value => At(value.Name, new InterventionOperation.Set(value)))]);

        frozen.Captured[0].ShouldBeClose(set.Captured[0], 1e-4);
        frozen.FireCounts.ShouldBe([1, model.Config.NLayers, model.Config.NLayers, 1]);
        using var scope = NewDisposeScope();
        (frozen.Captured[0].ToTorch() - TestPass.Capture(model, Rows, last.Hook, Steer).ToTorch()).abs().max().item<float>().ShouldBeGreaterThan(1e-3f);
    }

    [Fact]
    public void Freeze_SomePositionsAfterAnotherIntervention_TakesTheCleanValueThere()
    {
        using Transformer model = RandomModels.Create("gpt2");
        ActivationSelector all = new("blocks.1.attn.hook_z"), part = all with { Rows = [2], Positions = [1], Heads = [3] };
        HostTensor clean = TestPass.Capture(model, Rows, all.Hook), steered = TestPass.Capture(model, Rows, all.Hook, Steer);

        HostTensor after = TestPass.Capture(model, Rows, all.Hook, Steer, new Intervention(part, new InterventionOperation.Freeze()), new Intervention(all with { Rows = [0] }, new InterventionOperation.Scale(2)));

        after.At(2, 1, 3, 2).ShouldBe(clean.At(2, 1, 3, 2), 1e-5);
        after.At(2, 1, 2, 2).ShouldBe(steered.At(2, 1, 2, 2), 1e-5);
        after.At(0, 1, 3, 2).ShouldBe(2 * steered.At(0, 1, 3, 2), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Skip_Block_GivesWhatItReads(string name)
    {
        using Transformer model = RandomModels.Create(name);
        ActivationSelector read = new("blocks.1.hook_resid_pre"), gives = new("blocks.1.hook_resid_post");
        Intervention before = At(read.Hook, new InterventionOperation.Scale(1.5f));

        PassResult result = TestPass.Run(model, Rows, [read, gives], Steer, before, new Intervention(gives with { Rows = [0, 2] }, new InterventionOperation.Skip()));

        HostTensor plain = TestPass.Capture(model, Rows, gives.Hook, Steer, before);
        for (int channel = 0; channel < 16; channel++)
        {
            result.Captured[1].At(0, 4, channel).ShouldBe(result.Captured[0].At(0, 4, channel));
            result.Captured[1].At(2, 0, channel).ShouldBe(result.Captured[0].At(2, 0, channel));
            result.Captured[1].At(1, 2, channel).ShouldBe(plain.At(1, 2, channel));
        }
    }

    [Fact]
    public void Skip_BlockAndItsSublayers_GivesZeroAndTheInput()
    {
        using Transformer model = RandomModels.Create("gemma3");
        string[] hooks = ["blocks.0.hook_attn_out", "blocks.0.hook_mlp_out", "blocks.0.hook_resid_post"];

        PassResult result = TestPass.Run(model, Rows, [.. hooks.Select(hook => new ActivationSelector(hook)), new ActivationSelector("hook_embed")], [.. hooks.Select(hook => At(hook, new InterventionOperation.Skip()))]);

        result.Captured[1].Floats.ContainsAnyExcept(0).ShouldBeFalse();
        result.Captured[2].Floats.ContainsAnyExcept(0).ShouldBeFalse();
        result.Captured[3].Floats.ToArray().ShouldBe(result.Captured[0].Floats.ToArray());
    }

    [Theory]
    [InlineData("blocks.0.attn.hook_attn_scores", float.NegativeInfinity)]
    [InlineData("blocks.1.attn.hook_pattern", 0f)]
    public void Set_AttentionOfASlidingWindow_OpensNothingOutsideOfIt(string hook, float outside)
    {
        using Transformer model = RandomModels.Create("mistral");

        HostTensor after = TestPass.Capture(model, [[3, 1, 4, 1, 5, 9]], hook, At(hook, new InterventionOperation.Set(HostTensor.FromFloats("", [0.25f]))));

        for (int query = 0; query < 6; query++)
        {
            for (int key = 0; key < 6; key++) after.At(0, 1, query, key).ShouldBe(key <= query && key > query - 3 ? 0.25f : outside);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Run_EveryOperationInBFloat16AndFloat64_KeepsTypeAndStaysFinite(string name)
    {
        foreach (ScalarType type in new[] { ScalarType.BFloat16, ScalarType.Float64 })
        {
            using Transformer model = RandomModels.Create(name, type);
            HostTensor value = HostTensor.FromFloats("", [.. Enumerable.Range(1, 16).Select(i => i / 8f)], 16);
            InterventionOperation[] operations =
            [
                new InterventionOperation.Set(value), new InterventionOperation.Add(value, 2, StrengthUnit.ResidualNorm), new InterventionOperation.Mean(), new InterventionOperation.Mean(value),
                new InterventionOperation.Clamp(-1, 1), new InterventionOperation.Noise(0.1f, 1), new InterventionOperation.Noise(0.1f, 1, StrengthUnit.ResidualNorm),
                new InterventionOperation.ProjectOut(value), new InterventionOperation.ProjectOnto(value), new InterventionOperation.SwapSubspace(value, 0), new InterventionOperation.Freeze(),
            ];

            PassResult result = TestPass.Run(
                model, Rows, [new ActivationSelector("blocks.1.hook_resid_mid")], [.. operations.Select(operation => new Intervention(new ActivationSelector("blocks.*.hook_resid_mid") { Rows = [0, 1], Positions = [0, 1] }, operation))]);

            result.Logits.DataType.ShouldBe(type == ScalarType.BFloat16 ? TensorDataType.BFloat16 : TensorDataType.Float64);
            result.FireCounts.ShouldBe(operations.Select(_ => model.Config.NLayers));
        }
    }
}
