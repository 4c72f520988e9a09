using Lab.Models.Interventions;
using Lab.Models.Tokenizers;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>A generation's passes with a cache against one pass over all its tokens.</summary>
public sealed class DecodeStepTests
{
    private const string Hook = "blocks.1.hook_resid_mid";
    private const int PromptLength = 4;

    private static readonly int[] Tokens = [3, 1, 4, 1, 5, 9, 2, 6];

    private static readonly InterventionOperation Steer = new InterventionOperation.Add(HostTensor.FromFloats("", [3, -2, 1, 4, 0, 1, 2, -3, 1, 1, 2, 0, -1, 5, -2, 1], 16));

    public static TheoryData<string, ActivationSelector, int[]> Selectors => new()
    {
        { "all", new ActivationSelector(Hook), [0, 1, 2, 3, 4, 5, 6, 7] },
        { "positions", new ActivationSelector(Hook) { Positions = [6, 1, 4] }, [1, 4, 6] },
        { "the last", new ActivationSelector(Hook) { Positions = [-1] }, [3, 4, 5, 6, 7] },
        { "one of the last", new ActivationSelector(Hook) { Positions = [-2] }, [2] },
        { "range", new ActivationSelector(Hook) { PositionRanges = [new IndexRange(2, 5)] }, [2, 3, 4, 5] },
        { "open range", new ActivationSelector(Hook) { PositionRanges = [new IndexRange(5)] }, [5, 6, 7] },
        { "range from the end", new ActivationSelector(Hook) { PositionRanges = [new IndexRange(-2, -1)] }, [2, 3, 4, 5, 6, 7] },
        { "range that ends before the end", new ActivationSelector(Hook) { PositionRanges = [new IndexRange(0, -2)] }, [0, 1, 2] },
        { "range with both", new ActivationSelector(Hook) { Positions = [0], PositionRanges = [new IndexRange(6, 7)] }, [0, 6, 7] },
        { "tokens", new ActivationSelector(Hook) { TokenIds = [1, 9] }, [1, 3, 5] },
        { "texts", new ActivationSelector(Hook) { Texts = [new TextMatch("e"), new TextMatch("db")] }, [0, 1, 2] },
        { "every occurrence", new ActivationSelector(Hook) { Texts = [new TextMatch("b")] }, [1, 3] },
        { "last occurrence", new ActivationSelector(Hook) { Texts = [new TextMatch("b", -1)] }, [3] },
        { "text and tokens", new ActivationSelector(Hook) { Texts = [new TextMatch("e")], TokenIds = [6] }, [2, 7] },
        { "from", new ActivationSelector(Hook) { From = 3 }, [3, 4, 5, 6, 7] },
        { "from the end on", new ActivationSelector(Hook) { From = -1 }, [3, 4, 5, 6, 7] },
        { "from a text on", new ActivationSelector(Hook) { FromText = new TextMatch("eb"), TokenIds = [1, 4, 2] }, [2, 3, 6] },
        { "from the first occurrence on", new ActivationSelector(Hook) { FromText = new TextMatch("b"), Phase = GenerationPhase.Prefill }, [1, 2, 3] },
        { "from what is not there yet", new ActivationSelector(Hook) { From = 6 }, [6, 7] },
        { "prefill", new ActivationSelector(Hook) { Phase = GenerationPhase.Prefill }, [0, 1, 2, 3] },
        { "decode", new ActivationSelector(Hook) { Phase = GenerationPhase.Decode }, [4, 5, 6, 7] },
        { "steps", new ActivationSelector(Hook) { Steps = new IndexRange(1, 2) }, [5, 6] },
        { "steps and tokens", new ActivationSelector(Hook) { Steps = new IndexRange(1), TokenIds = [2, 3] }, [6] },
    };

    [Theory]
    [MemberData(nameof(Selectors))]
    public void AtStep_Selector_PicksTheTokensThatItMeans(string because, ActivationSelector selector, int[] expected)
    {
        using Transformer model = RandomModels.Create("llama");

        (IReadOnlyList<int> captured, int fired, _) = Generate(model, selector);

        captured.ShouldBe(expected, because);
        fired.ShouldBe((expected.Any(position => position < PromptLength) ? 1 : 0) + expected.Count(position => position >= PromptLength), because);
    }

    [Theory]
    [MemberData(nameof(Selectors))]
    public void AtStep_WithCache_EqualsOnePassOverAllTokens(string because, ActivationSelector selector, int[] positions)
    {
        foreach (string name in new[] { "llama", "mistral", "gpt2", "circuit_sparsity" })
        {
            using Transformer model = RandomModels.Create(name);
            TokenBatch whole = new(model.Config, [Tokens]);
            ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, whole, [], [new Intervention(new ActivationSelector(Hook) { Positions = positions }, Steer)]);
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            HostTensor expected = model.Forward(whole.ToTensor(CPU), new InterventionTap(plan.Interventions, whole.Lengths)).ToHost("logits");

            Generate(model, selector).Logits.ShouldBeClose(expected, 2e-5);
        }

        because.ShouldNotBeEmpty();
    }

    [Fact]
    public void Resolve_AtStep_EqualsThatOfThePrefillsPlan()
    {
        using Transformer model = RandomModels.Create("llama");
        ActivationSelector selector = new(Hook) { Positions = [0, 5, -1], Channels = [3] };
        TokenBatch token = new(model.Config, [[9]]);

        ForwardPlan direct = ForwardPlan.Resolve(model.Hooks, token, [selector], [], reach: 8, at: new StepPosition(5, 1));
        ForwardPlan derived = Prefill(model, selector, new InterventionOperation.Zero()).AtStep(token, new StepPosition(5, 1));

        direct.Captures.ShouldHaveSingleItem().Shape.ShouldBe([1, 2, 1]);
        derived.Captures.ShouldHaveSingleItem().Shape.ShouldBe([1, 2, 1]);
        derived.Captures[0].Positions.Single().Positions.ShouldBe([5, 5]);
    }

    [Fact]
    public void AtStep_ValuesByPosition_KeepTheirPlaces()
    {
        using Transformer model = RandomModels.Create("llama");
        ActivationSelector selector = new(Hook) { Positions = [6, 0, 4], Channels = [2, 5] };
        InterventionOperation set = new InterventionOperation.Set(HostTensor.FromFloats("", [1, 2, 3, 4, 5, 6], 3, 2));

        (_, _, _, IReadOnlyList<HostTensor> values) = GenerateWith(model, selector, set);

        values.Select(value => value.Floats.ToArray()).ShouldBe([[3f, 4f], [5f, 6f], [1f, 2f]]);
    }

    public static TheoryData<ActivationSelector, string> BadSelectors => new()
    {
        { new ActivationSelector(Hook) { Phase = GenerationPhase.Decode }, "phase" },
        { new ActivationSelector(Hook) { Steps = new IndexRange(0) }, "steps" },
        { new ActivationSelector(Hook) { TokenIds = [1, 20] }, "token_ids[1]" },
        { new ActivationSelector(Hook) { PositionRanges = [new IndexRange(0), new IndexRange(3, 2)] }, "position_ranges[1].last" },
        { new ActivationSelector(Hook) { PositionRanges = [new IndexRange(-2, -3)] }, "position_ranges[0].last" },
        { new ActivationSelector(Hook) { From = 8 }, "from.position" },
        { new ActivationSelector(Hook) { Texts = [new TextMatch("e"), new TextMatch("z")] }, "texts[1]" },
        { new ActivationSelector(Hook) { Texts = [new TextMatch("b", 2)] }, "texts[0]" },
        { new ActivationSelector(Hook) { Texts = [new TextMatch("b", -3)] }, "texts[0]" },
        { new ActivationSelector(Hook) { Texts = [new TextMatch("")] }, "texts[0].text" },
        { new ActivationSelector(Hook) { FromText = new TextMatch("z") }, "from.text" },
        { new ActivationSelector("") { Hooks = [Hook, "nowhere"] }, "hooks[1]" },
        { new ActivationSelector(Hook) { Layers = new IndexRange(2) }, "layers.first" },
        { new ActivationSelector(Hook) { Layers = new IndexRange(0, 2) }, "layers.last" },
        { new ActivationSelector(Hook) { Layers = new IndexRange(0, 0) }, "layers" },
        { new ActivationSelector("hook_embed") { Layers = new IndexRange(0) }, "layers" },
    };

    [Theory]
    [MemberData(nameof(BadSelectors))]
    public void Resolve_SelectorOfARunThatMatchesNothing_NamesTheField(ActivationSelector selector, string field)
    {
        using Transformer model = RandomModels.Create("llama");

        Should.Throw<InvalidSelectionException>(() => ForwardPlan.Resolve(model.Hooks, Prompt(model), [selector], []))
            .ParamName.ShouldBe($"captures[0].{field}");
    }

    [Fact]
    public void Resolve_TextOfSomeRows_AsksNoOthers()
    {
        using Transformer model = RandomModels.Create("llama");
        TokenBatch batch = new(model.Config, [[1, 2], [3, 1]]) { Texts = [null, TextOf([3, 1])] };
        ForwardPlan Plan(params int[] rows) => ForwardPlan.Resolve(model.Hooks, batch, [new ActivationSelector(Hook) { Rows = rows, Texts = [new TextMatch("b")] }], []);

        Plan(1).Captures.Single().Positions.Single().Positions.ShouldBe([1]);
        Should.Throw<InvalidSelectionException>(() => Plan(0)).Reason.ShouldContain("row 0 is not known");
    }

    [Fact]
    public void Resolve_StepsOfAPrefill_NameTheField()
    {
        using Transformer model = RandomModels.Create("llama");

        Should.Throw<InvalidSelectionException>(() => Prefill(model, new ActivationSelector(Hook) { Steps = new IndexRange(0), Phase = GenerationPhase.Prefill })).ParamName.ShouldBe("captures[0].steps");
        Should.Throw<InvalidSelectionException>(() => Prefill(model, new ActivationSelector(Hook) { Steps = new IndexRange(2, 1) })).ParamName.ShouldBe("captures[0].steps.last");
    }

    [Fact]
    public void Resolve_SeveralNamesAndLayers_SelectEachHookOnce()
    {
        using Transformer model = RandomModels.Create("gemma3");
        ActivationSelector selector = new("blocks.*.hook_resid_post") { Hooks = ["blocks.2.hook_*", "hook_embed", "model.layers.1.output"], Layers = new IndexRange(1) };

        ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, [Tokens]), [selector], []);

        plan.Captures.Select(capture => capture.Hook.Name).ShouldBe(
            ["blocks.1.hook_resid_post", "blocks.2.hook_resid_pre", "blocks.2.hook_attn_out", "blocks.2.hook_resid_mid", "blocks.2.hook_mlp_in", "blocks.2.hook_mlp_out", "blocks.2.hook_resid_post"]);
    }

    private static ForwardPlan Prefill(Transformer model, ActivationSelector selector, InterventionOperation? operation = null) => ForwardPlan.Resolve(
        model.Hooks, Prompt(model), [selector], [new Intervention(selector, operation ?? Steer)], reach: Tokens.Length);

    private static TokenBatch Prompt(Transformer model) => new(model.Config, [Tokens[..PromptLength]]) { Texts = [TextOf(Tokens[..PromptLength])] };

    /// <summary>A letter for each token: "b" for 1.</summary>
    private static TokenizedText TextOf(int[] ids) =>
        new(string.Concat(ids.Select(id => (char)('a' + id))), ids, [.. ids.Select((_, i) => new TextSpan(i, i + 1))], BosState.Absent, EosAdded: false);

    private static (IReadOnlyList<int> Positions, int Fired, HostTensor Logits) Generate(Transformer model, ActivationSelector selector)
    {
        (IReadOnlyList<int> positions, int fired, HostTensor logits, _) = GenerateWith(model, selector, Steer);
        return (positions, fired, logits);
    }

    private static (IReadOnlyList<int> Positions, int Fired, HostTensor Logits, IReadOnlyList<HostTensor> Values) GenerateWith(
        Transformer model, ActivationSelector selector, InterventionOperation operation)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using SequenceCache cache = new(model, Tokens.Length);
        ForwardPlan prefill = Prefill(model, selector, operation);
        (List<int> captured, List<Tensor> logits, List<HostTensor> values, int fired) = ([], [], [], 0);
        for (int past = 0; past < Tokens.Length; past = Math.Max(past + 1, PromptLength))
        {
            ForwardPlan plan = past == 0 ? prefill : prefill.AtStep(new TokenBatch(model.Config, [[Tokens[past]]]), new StepPosition(past, past - PromptLength));
            InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths);
            CaptureTap captures = new(plan.Captures);
            logits.Add(model.Forward(new ForwardInput(plan.Batch.ToTensor(CPU)) { Caches = [cache] }, new ForwardTap(tap, captures, TestContext.Current.CancellationToken))!);
            fired += tap.FireCounts[0];
            values.AddRange(captures.Tensors);
            captured.AddRange(plan.Captures.SelectMany(capture => capture.Positions.Single().Positions));
        }

        return ([.. captured.Order()], fired, cat([.. logits], 1).ToHost("logits"), values);
    }
}
