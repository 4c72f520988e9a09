using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static Lab.Models.Tests.Gradients.GradientTesting;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

public sealed class GradientPassTests : IDisposable
{
    private static readonly int[][] _rows = [[3, 1, 4, 1, 5], [9, 2, 6]];
    private readonly Transformer _model = FamilyConfigs.New("sparse");

    public static TheoryData<string> Hooks => ["hook_embed", "blocks.0.attn.hook_q", "blocks.1.attn.hook_attn_scores", "blocks.1.attn.hook_pattern", "blocks.1.ln2.hook_scale"];

    public void Dispose() => _model.Dispose();

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Run_RaggedBatch_GivesEachRowItsOwnGradientAndZeroInPadding(string hook)
    {
        double[] batched = Run(_model, _rows, NextTokens, [At(hook)]).Tensors[0].Doubles();
        using var scope = NewDisposeScope();
        double nonzero = batched.Count(x => x != 0);

        for (int row = 0; row < 2; row++)
        {
            HostTensor single = Run(_model, [_rows[row]], NextTokens, [At(hook)]).Tensors[0];
            bool isAttention = hook.Contains("hook_attn", StringComparison.Ordinal) || hook.EndsWith("pattern", StringComparison.Ordinal);
            Tensor own = tensor(batched, dtype: ScalarType.Float64).view(2, isAttention ? 4 : 5, isAttention ? 5 : -1, isAttention ? 5 : 1)[row];
            int length = _rows[row].Length;
            own = isAttention ? own.narrow(1, 0, length).narrow(2, 0, length) : own.narrow(0, 0, length);
            double[] actual = own.contiguous().ToHost("").Doubles(), expected = single.Doubles();
            for (int i = 0; i < expected.Length; i++) actual[i].ShouldBe(expected[i], 1e-12);
            nonzero -= actual.Count(x => x != 0);
        }

        nonzero.ShouldBe(0);
    }

    [Fact]
    public void Run_PartOfAHook_IsASliceOfTheWhole()
    {
        ActivationSelector part = new("blocks.0.attn.hook_v") { Rows = [1], Positions = [-1, 0], Heads = [3, 0], Channels = [2] };

        Gradient gradient = Run(_model, _rows, NextTokens, [At("blocks.0.attn.hook_v"), new GradientTarget.Activation(part)]);

        gradient.Tensors[1].Shape.ShouldBe([1, 2, 2, 1]);
        double[] whole = gradient.Tensors[0].Doubles();
        double Whole(int position, int head) => whole[((((5 + position) * 4) + head) * 4) + 2];
        gradient.Tensors[1].Doubles().ShouldBe([Whole(2, 3), Whole(2, 0), Whole(0, 3), Whole(0, 0)]);
    }

    [Fact]
    public void Run_ValueThatReplacesAnActivation_GivesWhatIsBeforeZero()
    {
        Intervention set = new(new ActivationSelector("blocks.0.hook_resid_post"), new InterventionOperation.Zero());

        Gradient gradient = Run(_model, _rows, NextTokens, [At("hook_embed"), At("blocks.0.hook_resid_post"), At("blocks.1.hook_resid_pre")], set);

        gradient.Result.ZeroGradients.ShouldBe([0]);
        gradient.Result.FireCounts.ShouldBe([1]);
        gradient.Tensors[0].Doubles().ShouldAllBe(x => x == 0);
        gradient.Tensors[1].Doubles().ShouldContain(x => x != 0);
        gradient.Tensors[1].Doubles().ShouldBe(gradient.Tensors[2].Doubles());
    }

    [Fact]
    public void Run_ObjectiveBeforeATarget_GivesTheTargetZero()
    {
        UpstreamGradient given = new(new ActivationSelector("hook_embed"), FromDoubles([.. Enumerable.Repeat(1.0, 120)], 2, 5, 12));

        Gradient gradient = Run(_model, _rows, new GradientObjective.Upstream([given]), [At("hook_embed"), At("blocks.1.hook_resid_post"), At("unembed.hook_in")]);

        gradient.Result.ZeroGradients.ShouldBe([1, 2]);
        gradient.Tensors[0].Doubles()[..60].ShouldAllBe(x => x == 1);
        gradient.Tensors[0].Doubles()[(60 + 36)..].ShouldAllBe(x => x == 0);
    }

    [Fact]
    public void Run_Captures_AreThoseOfARunAndComeFirst()
    {
        Intervention scale = new(new ActivationSelector("blocks.0.hook_mlp_out"), new InterventionOperation.Scale(0.5f));
        GradientPlan plan = PlanCapturing(_model, _rows, NextTokens, [At("blocks.0.hook_mlp_out")], [new ActivationSelector("blocks.0.hook_mlp_out")], scale);

        Gradient gradient = Run(_model, plan);

        gradient.Tensors.Select(tensor => tensor.Name).ShouldBe(["blocks.0.hook_mlp_out", "grad/blocks.0.hook_mlp_out"]);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        List<HostTensor> captured = [];
        ForwardTap tap = new(new InterventionTap(plan.Forward.Interventions, plan.Forward.Batch.Lengths), new CaptureTap(plan.Forward.Captures, TensorDataType.Float64, captured.Add), CancellationToken.None);
        _model.Forward(plan.Forward.Batch.ToTensor(CPU), tap);
        gradient.Tensors[0].ShouldBe(captured[0]);
    }

    [Fact]
    public void Run_Bf16Model_IsNearItsFp32Twin()
    {
        using Transformer narrow = FamilyConfigs.New("qwen2", type: ScalarType.BFloat16), wide = FamilyConfigs.New("qwen2", type: ScalarType.Float32);

        double[] actual = Run(narrow, _rows, NextTokens, [At("blocks.1.hook_resid_post")]).Tensors[0].Doubles();
        double[] expected = Run(wide, _rows, NextTokens, [At("blocks.1.hook_resid_post")]).Tensors[0].Doubles();

        double error = Math.Sqrt(actual.Zip(expected).Sum(pair => Math.Pow(pair.First - pair.Second, 2)) / expected.Sum(x => x * x));
        error.ShouldBeLessThan(0.1);
    }

    [Fact]
    public void Run_ManyTimes_LeavesNoTensorAlive()
    {
        GradientTarget[] targets = [At("blocks.*.hook_resid_pre"), At("blocks.0.attn.hook_pattern"), new GradientTarget.Parameter("transformer.wte.weight")];
        Intervention[] interventions = [new(new ActivationSelector("blocks.*.hook_mlp_out"), new InterventionOperation.Mean())];
        UpstreamGradient given = new(new ActivationSelector("blocks.1.hook_resid_post"), FromDoubles([.. Enumerable.Repeat(1.0, 120)], 2, 5, 12));
        GradientObjective[] objectives = [NextTokens, new GradientObjective.KlToClean([], Reduction.Sum), new GradientObjective.Upstream([given, given])];
        foreach (GradientObjective objective in objectives) Run(_model, _rows, objective, targets, interventions);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (int i = 0; i < 200; i++) Run(_model, _rows, objectives[i % 3], targets, interventions);

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }

    [Fact]
    public void Run_Cancelled_LeavesNothingBehind()
    {
        GradientPlan plan = Plan(_model, _rows, NextTokens, [At("hook_embed"), new GradientTarget.Parameter("transformer.wte.weight")]);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Should.Throw<OperationCanceledException>(() => Run(_model, plan, new CancellationToken(canceled: true)));

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
        _model.Weights.TokenEmbedding.Value.requires_grad.ShouldBeFalse();
    }

    [Fact]
    public void Run_InfiniteObjective_FailsAndLeavesNothingBehind()
    {
        // Two logits that are infinitely apart: each is no number to differentiate.
        Intervention overflow = new(new ActivationSelector("unembed.hook_in"), new InterventionOperation.Scale(float.MaxValue));
        using Transformer model = FamilyConfigs.New("sparse", type: ScalarType.Float32);
        GradientPlan plan = Plan(model, _rows, NextTokens, [At("hook_embed"), new GradientTarget.Parameter("transformer.wte.weight")], overflow, overflow);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Should.Throw<NonFiniteActivationException>(() => Run(model, plan)).Name.ShouldBe("objectives");

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
        model.Weights.TokenEmbedding.Value.requires_grad.ShouldBeFalse();
    }

    [Fact]
    public void Resolve_NormBesideHeadsOwnInputs_IsRefused()
    {
        Field([At("blocks.0.hook_k_input"), At("blocks.0.ln1.hook_normalized")]).ShouldBe("targets[1].activation.hook");
        Plan(_model, _rows, NextTokens, [At("blocks.0.hook_k_input"), At("blocks.1.ln1.hook_normalized")]).Gradients.Count.ShouldBe(2);
    }

    [Fact]
    public void Resolve_WhatIsNotThere_NamesTheField()
    {
        Field([]).ShouldBe("targets");
        Field([At("blocks.9.hook_resid_pre")]).ShouldBe("targets[0].activation.hook");
        Field([At("hook_embed"), new GradientTarget.Parameter("transformer.nothing")]).ShouldBe("targets[1].parameter");
        Objective(new GradientObjective.CrossEntropy([new(2, 0, 1)], Reduction.Sum)).ShouldBe("objective.cross_entropy.targets[0].row");
        Objective(new GradientObjective.CrossEntropy([new(0, 0, 1), new(1, 3, 1)], Reduction.Sum)).ShouldBe("objective.cross_entropy.targets[1].position");
        Objective(new GradientObjective.CrossEntropy([new(1, -3, 17)], Reduction.Sum)).ShouldBe("objective.cross_entropy.targets[0].token");
        Objective(new GradientObjective.LogitDifference([])).ShouldBe("objective.logit_difference.pairs");
        Objective(new GradientObjective.LogitDifference([new(null, 3, 1, null)])).ShouldBe("objective.logit_difference.pairs[0].position");
        Objective(new GradientObjective.LogitDifference([new(null, -1, 1, -1)])).ShouldBe("objective.logit_difference.pairs[0].token_b");
        Objective(new GradientObjective.KlToClean([0, -4], Reduction.Sum)).ShouldBe("objective.kl_to_clean.positions[1]");
        Objective(new GradientObjective.Upstream([])).ShouldBe("objective.upstream.gradients");
        Objective(Upstream("blocks.*.hook_resid_pre", 120)).ShouldBe("objective.upstream.gradients[0].selector.hook");
        Objective(Upstream("hook_embed", 119)).ShouldBe("objective.upstream.gradients[0].gradient");
        Objective(new GradientObjective.Upstream([new(new ActivationSelector("hook_embed"), FromDoubles([.. Enumerable.Repeat(double.NaN, 120)], 2, 5, 12))]))
            .ShouldBe("objective.upstream.gradients[0].gradient");
    }

    [Theory]
    [InlineData("blocks.0.hook_q_input", "transformer.h.0.attn.c_attn.bias", false)]
    [InlineData("blocks.1.hook_q_input", "transformer.h.0.attn.c_attn.bias", true)]
    [InlineData("blocks.0.attn.hook_q", "transformer.h.0.attn.c_attn.bias", true)]
    public void Resolve_TargetThatTakesAnEditedMatrixApart_IsRefused(string hook, string parameter, bool isAllowed)
    {
        int size = (int)_model.Parameters.Find(parameter)!.Outputs;
        WeightEdit edit = new(parameter) { Bias = HostTensor.FromFloats("", new float[size], size) };
        ForwardPlan forward = ForwardPlan.Resolve(_model.Hooks, new TokenBatch(_model.Config, _rows), [], [], edits: [edit], parameters: _model.Parameters);
        GradientPlan Edited() => GradientPlan.Resolve(_model.Hooks, _model.Config, Shapes(_model), forward, NextTokens, [At(hook)]);

        if (isAllowed) Edited().Gradients.ShouldHaveSingleItem();
        else Should.Throw<ArgumentException>(Edited).ParamName.ShouldBe("weight_edits[0].parameter");
    }

    [Theory]
    [InlineData("blocks.0.attn.hook_result", false)]
    [InlineData("blocks.1.attn.hook_result", true)]
    [InlineData("blocks.0.attn.hook_z", true)]
    [InlineData("blocks.0.hook_q_input", true)]
    public void Resolve_UpstreamThatTakesAnEditedMatrixApart_IsRefused(string hook, bool isAllowed)
    {
        ParameterRole output = _model.Parameters.Find("transformer.h.0.attn.c_proj.weight")!;
        LowRankDelta delta = new(HostTensor.FromFloats("", new float[output.Outputs], output.Outputs, 1), HostTensor.FromFloats("", new float[output.Inputs], 1, output.Inputs));
        ForwardPlan forward = ForwardPlan.Resolve(
            _model.Hooks, new TokenBatch(_model.Config, _rows), [], [], edits: [new WeightEdit(output.Name) { LowRank = delta }], parameters: _model.Parameters);
        long[] shape = [_rows.Length, _rows.Max(row => row.Length), .. _model.Hooks.Find(hook)!.Shape.Skip(2)];
        GradientObjective.Upstream upstream = new([new(new ActivationSelector(hook), FromDoubles(new double[shape.Aggregate((a, b) => a * b)], shape))]);
        GradientPlan Edited() => GradientPlan.Resolve(_model.Hooks, _model.Config, Shapes(_model), forward, upstream, [At("hook_embed")]);

        if (isAllowed) Edited().Gradients.ShouldHaveSingleItem();
        else Should.Throw<ArgumentException>(Edited).ParamName.ShouldBe("weight_edits[0].parameter");
    }

    private static GradientObjective.Upstream Upstream(string hook, int count) =>
        new([new(new ActivationSelector(hook), count == 120 ? FromDoubles(new double[120], 2, 5, 12) : FromDoubles(new double[count], count))]);

    private string? Field(GradientTarget[] targets) => Should.Throw<ArgumentException>(() => Plan(_model, _rows, NextTokens, targets)).ParamName;

    private string? Objective(GradientObjective objective) => Should.Throw<ArgumentException>(() => Plan(_model, _rows, objective, [At("hook_embed")])).ParamName;
}
