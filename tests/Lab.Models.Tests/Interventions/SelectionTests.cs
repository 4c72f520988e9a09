using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Tests.Interventions;

public sealed class SelectionTests : IDisposable
{
    private static readonly int[][] Rows = [[3, 1, 4, 1, 5], [6, 5]];

    private readonly SmallModel _model = new();

    public void Dispose() => _model.Dispose();

    public static TheoryData<string, ActivationSelector, string> BadSelectors => new()
    {
        { "", new ActivationSelector(""), "hook" },
        { "unknown", new ActivationSelector("blocks.9.hook_resid_pre"), "hook" },
        { "glob over dots", new ActivationSelector("*hook_resid_pre"), "hook" },
        { "glob of parts", new ActivationSelector("blocks.*.hook_resid"), "hook" },
        { "row", new ActivationSelector("hook_embed") { Rows = [0, 2] }, "rows[1]" },
        { "negative row", new ActivationSelector("hook_embed") { Rows = [-1] }, "rows[0]" },
        { "position of the shorter row", new ActivationSelector("hook_embed") { Positions = [0, 1, 2] }, "positions[2]" },
        { "position from the end", new ActivationSelector("hook_embed") { Rows = [0], Positions = [-5, -6] }, "positions[1]" },
        { "head of a hook without", new ActivationSelector("hook_embed") { Heads = [0] }, "heads" },
        { "head", new ActivationSelector("blocks.0.attn.hook_q") { Heads = [2] }, "heads[0]" },
        { "channel", new ActivationSelector("blocks.0.mlp.hook_pre") { Channels = [23, 24] }, "channels[1]" },
        { "channel of a head", new ActivationSelector("blocks.0.attn.hook_q") { Channels = [8] }, "channels[0]" },
        { "channel of a pattern", new ActivationSelector("blocks.0.attn.hook_pattern") { Channels = [0] }, "channels" },
    };

    [Theory]
    [MemberData(nameof(BadSelectors))]
    public void Resolve_SelectorThatMatchesNothing_NamesTheField(string because, ActivationSelector selector, string field)
    {
        ArgumentException capture = Should.Throw<InvalidSelectionException>(() => _model.Plan(Rows, [new ActivationSelector("hook_embed"), selector]), because);
        ArgumentException change = Should.Throw<InvalidSelectionException>(() => _model.Plan(Rows, [], new Intervention(selector, new InterventionOperation.Zero())), because);

        capture.ParamName.ShouldBe($"captures[1].{field}");
        change.ParamName.ShouldBe($"interventions[0].selector.{field}");
    }

    [Fact]
    public void Resolve_PositionOutOfRange_SaysHookIndexAndBound()
    {
        InvalidSelectionException e = Should.Throw<InvalidSelectionException>(() => _model.Plan(Rows, [new ActivationSelector("0.resid_in") { Positions = [3] }]));

        e.Reason.ShouldBe("Position 3 of blocks.0.hook_resid_pre is out of range: row 1 has 2 tokens.");
    }

    [Fact]
    public void Resolve_UnmatchedSelectorsWhenPlanning_AreReported()
    {
        List<string> unmatched = [];

        ForwardPlan plan = ForwardPlan.Resolve(
            _model.Transformer.Hooks,
            new TokenBatch(SmallModel.Config, Rows),
            [new ActivationSelector("hook_embed"), new ActivationSelector("blocks.9.*")],
            [SmallModel.At("nowhere", new InterventionOperation.Zero())],
            "run.",
            unmatched: unmatched);

        plan.Captures.ShouldHaveSingleItem().Hook.Name.ShouldBe("hook_embed");
        plan.Interventions.ShouldBeEmpty();
        unmatched.Count.ShouldBe(2);
        unmatched[0].ShouldStartWith("captures[1].hook: No hook matches 'blocks.9.*'");
        unmatched[1].ShouldStartWith("interventions[0].selector.hook: No hook matches 'nowhere'");
    }

    public static TheoryData<string, InterventionOperation, string> BadOperations => new()
    {
        { "blocks.*.hook_resid_post", new InterventionOperation.Set(HostTensor.FromFloats("", [1, 2, 3], 3)), "set.value" },
        { "blocks.0.mlp.*", new InterventionOperation.Add(HostTensor.FromFloats("", new float[16], 16)), "add.value" },
        { "hook_embed", new InterventionOperation.Set(HostTensor.FromFloats("", [float.NaN])), "set.value" },
        { "hook_embed", new InterventionOperation.Set(new HostTensor("", TensorDataType.Int32, [1], new byte[4])), "set.value" },
        { "hook_embed", new InterventionOperation.Add(HostTensor.FromFloats("", [1]), float.PositiveInfinity), "add.coefficient" },
        { "hook_embed", new InterventionOperation.Scale(float.NaN), "scale.factor" },
        { "hook_embed", new InterventionOperation.Mean(HostTensor.FromFloats("", new float[15], 15)), "mean.value" },
        { "blocks.0.attn.hook_pattern", new InterventionOperation.Mean(), "mean" },
        { "hook_embed", new InterventionOperation.Add(HostTensor.FromFloats("", [1]), 1, StrengthUnit.ResidualNorm), "add.value" },
        { "hook_embed", new InterventionOperation.Add(HostTensor.FromFloats("", new float[16], 16), 1, StrengthUnit.ResidualNorm), "add.value" },
        { "blocks.0.attn.hook_pattern", new InterventionOperation.Add(HostTensor.FromFloats("", [1]), 1, StrengthUnit.ResidualNorm), "add.unit" },
        { "hook_embed", new InterventionOperation.Clamp(null, null), "clamp" },
        { "hook_embed", new InterventionOperation.Clamp(float.NaN, null), "clamp.min" },
        { "hook_embed", new InterventionOperation.Clamp(1, 0), "clamp.max" },
        { "hook_embed", new InterventionOperation.Noise(-1, 0), "noise.std" },
        { "blocks.0.attn.hook_pattern", new InterventionOperation.Noise(1, 0), "noise" },
        { "hook_embed", new InterventionOperation.ProjectOut(HostTensor.FromFloats("", [1, 2], 2)), "project_out.directions" },
        { "hook_embed", new InterventionOperation.ProjectOut(HostTensor.FromFloats("", new float[16], 16)), "project_out.directions" },
        { "hook_embed", new InterventionOperation.ProjectOnto(HostTensor.FromFloats("", [.. Enumerable.Range(0, 48).Select(i => (float)i)], 3, 16)), "project_onto.directions" },
        { "blocks.0.attn.hook_pattern", new InterventionOperation.ProjectOnto(HostTensor.FromFloats("", [1, 0, 0, 0, 0], 5)), "project_onto" },
        { "hook_embed", new InterventionOperation.SwapSubspace(HostTensor.FromFloats("", [.. Enumerable.Range(0, 16).Select(i => (float)i)], 16), 1), "swap_subspace.source_row" },
        { "hook_embed", new InterventionOperation.Skip(), "skip" },
        { "hook_embed", new InterventionOperation.Patch(2), "patch.source_row" },
        { "hook_embed", new InterventionOperation.Patch(1), "patch.source_row" },
    };

    [Theory]
    [MemberData(nameof(BadOperations))]
    public void Resolve_OperationThatDoesNotFit_NamesTheField(string hook, InterventionOperation operation, string field)
    {
        ArgumentException e = Should.Throw<ArgumentException>(() => _model.Plan(Rows, [], SmallModel.At(hook, operation)));

        e.ParamName.ShouldBe($"interventions[0].{field}");
    }

    [Theory]
    [InlineData("hook_embed")]
    [InlineData("blocks.0.attn.hook_pattern")]
    public void Run_CaptureOfNoToken_IsEmpty(string hook)
    {
        HostTensor empty = _model.Run(Rows, [new ActivationSelector(hook) { TokenIds = [19] }]).Captured.ShouldHaveSingleItem();

        empty.ElementCount.ShouldBe(0);
        empty.Shape[hook == "hook_embed" ? 1 : 2].ShouldBe(0);
    }

    [Fact]
    public void Resolve_TooManyRanges_AreRefused()
    {
        ActivationSelector many = new("hook_embed") { PositionRanges = [.. Enumerable.Repeat(new IndexRange(0), 1025)] };

        Should.Throw<InvalidSelectionException>(() => _model.Plan(Rows, [many])).ParamName.ShouldBe("captures[0].position_ranges");
    }

    [Fact]
    public void Resolve_TooManyTokensInAllSelectors_AreRefused()
    {
        ActivationSelector half = new("hook_embed") { Positions = [.. new int[1 << 22]] }, ranges = new("hook_embed") { PositionRanges = [.. Enumerable.Repeat(new IndexRange(0), 1024)] };
        int[][] rows = [.. Enumerable.Repeat<int[]>([1], 1 << 20)];

        _model.Plan([[1]], [half, half]).Captures.Count.ShouldBe(2);
        Should.Throw<InvalidSelectionException>(() => _model.Plan([[1]], [half, half, new ActivationSelector("hook_embed") { Positions = [0] }])).ParamName.ShouldBe("captures[2].positions");
        Should.Throw<InvalidSelectionException>(() => _model.Plan(rows, [ranges, ranges])).ParamName.ShouldBe("captures[1]");
    }

    [Fact]
    public void Resolve_ValueThatIsInfiniteAtTheSecondKindOfHook_IsRefused()
    {
        ActivationSelector both = new("blocks.0.attn.hook_pattern") { Hooks = ["blocks.1.hook_resid_post"] };

        Should.Throw<ArgumentException>(() => _model.Plan(Rows, [], new Intervention(both, new InterventionOperation.Set(HostTensor.FromFloats("", [float.NegativeInfinity])))))
            .ParamName.ShouldBe("interventions[0].set.value");
    }

    public static TheoryData<ActivationSelector, InterventionOperation, string?> GeneratedOperations => new()
    {
        { new ActivationSelector("hook_embed"), new InterventionOperation.Mean(), "mean.value" },
        { new ActivationSelector("hook_embed") { Phase = GenerationPhase.Prefill }, new InterventionOperation.Mean(), null },
        { new ActivationSelector("hook_embed") { Positions = [0, 1] }, new InterventionOperation.Mean(), null },
        { new ActivationSelector("hook_embed") { PositionRanges = [new IndexRange(0, 2)] }, new InterventionOperation.Mean(), "mean.value" },
        { new ActivationSelector("hook_embed") { TokenIds = [1] }, new InterventionOperation.Freeze(), "freeze" },
        { new ActivationSelector("hook_embed") { Phase = GenerationPhase.Prefill }, new InterventionOperation.Freeze(), null },
        { new ActivationSelector("hook_embed"), new InterventionOperation.Set(HostTensor.FromFloats("", new float[32], 2, 16)), "set.value" },
        { new ActivationSelector("hook_embed") { Positions = [0, 3] }, new InterventionOperation.Set(HostTensor.FromFloats("", new float[32], 2, 16)), null },
        { new ActivationSelector("hook_embed"), new InterventionOperation.Set(HostTensor.FromFloats("", new float[16], 16)), null },
        { new ActivationSelector("blocks.0.attn.hook_pattern"), new InterventionOperation.Set(HostTensor.FromFloats("", new float[2], 2)), "set.value" },
        { new ActivationSelector("blocks.0.attn.hook_pattern"), new InterventionOperation.Set(HostTensor.FromFloats("", [0])), null },
    };

    [Theory]
    [MemberData(nameof(GeneratedOperations))]
    public void Resolve_OperationThatDoesNotFitGeneratedTokens_NamesTheFieldBeforeAnyIsGenerated(ActivationSelector selector, InterventionOperation operation, string? field)
    {
        int[][] prompt = [[1, 2]];
        ForwardPlan Plan() => ForwardPlan.Resolve(_model.Transformer.Hooks, new TokenBatch(SmallModel.Config, prompt), [], [new Intervention(selector, operation)], reach: 4);

        if (field is null) Plan().Interventions.ShouldHaveSingleItem();
        else Should.Throw<ArgumentException>(Plan).ParamName.ShouldBe($"interventions[0].{field}");
    }

    [Fact]
    public void Resolve_ValueForAChannelSelectedTwice_IsRefused()
    {
        ActivationSelector twice = new("hook_embed") { Channels = [3, 3] };

        Should.Throw<ArgumentException>(() => _model.Plan(Rows, [], new Intervention(twice, new InterventionOperation.Set(HostTensor.FromFloats("", [1, 2], 2)))))
            .ParamName.ShouldBe("interventions[0].set.value");
        Should.NotThrow(() => _model.Plan(Rows, [], new Intervention(twice, new InterventionOperation.Set(HostTensor.FromFloats("", [1])))));
    }

    [Fact]
    public void Resolve_FullValueForATokenSelectedTwice_IsRefused()
    {
        ActivationSelector twice = new("hook_embed") { Rows = [1], Positions = [1, -1], Channels = [0] };

        Should.Throw<ArgumentException>(() => _model.Plan(Rows, [], new Intervention(twice, new InterventionOperation.Set(HostTensor.FromFloats("", [1, 2], 1, 2, 1)))))
            .ParamName.ShouldBe("interventions[0].set.value");
    }

    [Fact]
    public void Resolve_PositionThatGenerationReachesLater_IsNotSelectedYet()
    {
        int[][] prompt = [[1, 2]];
        ActivationSelector later = new("hook_embed") { Positions = [3] };

        ForwardPlan plan = ForwardPlan.Resolve(_model.Transformer.Hooks, new TokenBatch(SmallModel.Config, prompt), [], [new Intervention(later, new InterventionOperation.Zero())], reach: 4);

        plan.Interventions[0].Selections[0].TokenCount.ShouldBe(0);
        Should.Throw<InvalidSelectionException>(() => _model.Plan(prompt, [later]));
    }

    public static TheoryData<int[][], string> BadRows => new()
    {
        { [], "rows" },
        { [[1], []], "rows[1]" },
        { [[1, 2, 20]], "rows[0].ids[2]" },
        { [[1], [-1]], "rows[1].ids[0]" },
        { [new int[13]], "rows[0]" },
    };

    [Theory]
    [MemberData(nameof(BadRows))]
    public void TokenBatch_RowsThatTheModelCannotRun_NamesTheField(int[][] rows, string field)
    {
        Should.Throw<ArgumentException>(() => new TokenBatch(SmallModel.Config, rows)).ParamName.ShouldBe(field);
    }
}
