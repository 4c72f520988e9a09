using Lab.Models;
using Lab.Models.Interventions;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;

namespace Lab.SparseTraining.Tests.Training.Interventions;

public sealed class TrainingInterventionsTests
{
    private static readonly TransformerConfig Config = new() { NLayers = 2, DModel = 8, NHeads = 2, DHead = 4, DMlp = 16, DVocab = 20, NCtx = 8 };

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.25)]
    [InlineData(0.8)]
    [InlineData(1.0)]
    public void Resolve_Fraction_IsTheShareOfSequences(double fraction)
    {
        TrainingInterventions interventions = new(Config, [Rule() with { Fraction = fraction }], 10, seed: 3);

        double rows = Enumerable.Range(0, 400).Sum(step => Rows(interventions.Resolve(step, Batch(10))).Count);

        rows.ShouldBe(fraction * 4000, fraction is > 0 and < 1 ? 120 : 0);
    }

    [Fact]
    public void Resolve_Vectors_AreDrawnWithEqualChanceAndByStepRowRuleAndSeed()
    {
        InterventionRule rule = Rule() with { Vectors = [Vector("a"), Vector("b"), Vector("c")] };
        TrainingInterventions interventions = new(Config, [rule, rule], 10, seed: 3);
        string Drawn(TrainingInterventions from, int rule, long step) => string.Concat(
            Enumerable.Range(0, 10).Select(row => VectorOf(from.Resolve(step, Batch(10)).Single(one => one.Index == rule && Rows([one]).Contains(row)))));

        string all = string.Concat(Enumerable.Range(0, 300).Select(step => Drawn(interventions, 0, step)));

        foreach (char name in "abc") ((double)all.Count(c => c == name)).ShouldBe(1000, 100);
        Drawn(new TrainingInterventions(Config, [rule], 10, seed: 3), 0, 17).ShouldBe(all[170..180]);
        Drawn(new TrainingInterventions(Config, [rule], 10, seed: 4), 0, 17).ShouldNotBe(all[170..180]);
        Drawn(interventions, 1, 17).ShouldNotBe(all[170..180]);
    }

    [Fact]
    public void Resolve_SelectorAndStretch_ChangeWhatBothMean()
    {
        InterventionRule rule = Rule() with { FromTokenId = 2, UntilTokenId = 3 };
        rule = rule with { Intervention = rule.Intervention with { Selector = rule.Intervention.Selector with { From = 2 } } };
        TrainingInterventions interventions = new(Config, [rule], 2, seed: 0);

        IReadOnlyList<ResolvedIntervention> resolved = interventions.Resolve(0, [[2, 5, 5, 5, 3, 5, 2, 5, 5], [5, 5, 5, 5, 5, 5, 5, 5, 2]]);

        resolved.Single().Selections.Single().Positions.Single().ShouldSatisfyAllConditions(
            row => row.Row.ShouldBe(0), row => row.Positions.ShouldBe([2, 3, 4, 6, 7]));
    }

    [Theory]
    [InlineData("config.interventions[1].intervention.selector.hook")]
    [InlineData("config.interventions[1].intervention.selector.rows")]
    [InlineData("config.interventions[1].intervention.selector.texts")]
    [InlineData("config.interventions[1].intervention.selector.from.text")]
    [InlineData("config.interventions[1].intervention.selector.phase")]
    [InlineData("config.interventions[1].intervention.selector.steps")]
    [InlineData("config.interventions[1].intervention.selector.positions[0]")]
    [InlineData("config.interventions[1].intervention.add.value")]
    [InlineData("config.interventions[1].intervention.set.value")]
    [InlineData("config.interventions[1].intervention.freeze")]
    [InlineData("config.interventions[1].intervention.patch.source_row")]
    [InlineData("config.interventions[1].fraction")]
    [InlineData("config.interventions[1].from_token_id")]
    [InlineData("config.interventions[1].until_token_id")]
    [InlineData("config.interventions[1].vectors")]
    public void Constructor_WrongRule_NamesTheField(string field)
    {
        ActivationSelector Selector(string name) => name switch
        {
            "hook" => new ActivationSelector("blocks.7.hook_resid_post"),
            "rows" => Rule().Intervention.Selector with { Rows = [0] },
            "texts" => Rule().Intervention.Selector with { Texts = [new TextMatch("a")] },
            "text" => Rule().Intervention.Selector with { FromText = new TextMatch("a") },
            "phase" => Rule().Intervention.Selector with { Phase = GenerationPhase.Prefill },
            "steps" => Rule().Intervention.Selector with { Steps = new IndexRange(0) },
            "positions[0]" => Rule().Intervention.Selector with { Positions = [8] },
            _ => Rule().Intervention.Selector,
        };
        InterventionOperation operation = field.Split('.')[^2] switch
        {
            "add" => new InterventionOperation.Add(HostTensor.FromFloats("", [1, 2, 3], 3)),
            // A value by position: each sequence has stretches of its own.
            "set" => new InterventionOperation.Set(HostTensor.FromFloats("", new float[64], 8, 8)),
            "patch" => new InterventionOperation.Patch(4),
            _ => field.EndsWith("freeze", StringComparison.Ordinal) ? new InterventionOperation.Freeze() : new InterventionOperation.Zero(),
        };
        InterventionRule rule = new(new Intervention(Selector(field.Split('.')[^1]), operation), field.EndsWith("fraction", StringComparison.Ordinal) ? double.NaN : 1)
        {
            FromTokenId = field.EndsWith("from_token_id", StringComparison.Ordinal) ? 20 : null,
            UntilTokenId = field.EndsWith("until_token_id", StringComparison.Ordinal) ? -1 : null,
        };
        if (field.EndsWith("vectors", StringComparison.Ordinal)) rule = Rule() with { Vectors = [Vector("a"), HostTensor.FromFloats("short", [1, 2], 2)] };

        Should.Throw<ArgumentException>(() => new TrainingInterventions(Config, [Rule(), rule], 4, seed: 0)).ParamName.ShouldBe(field);
    }

    private static InterventionRule Rule() => new(new Intervention(new ActivationSelector("blocks.1.hook_resid_pre"), new InterventionOperation.Add(Vector("own"))));

    private static HostTensor Vector(string name) => HostTensor.FromFloats(name, [.. Enumerable.Range(1, 8).Select(i => (float)i)], 8);

    private static int[][] Batch(int rows) => [.. Enumerable.Range(0, rows).Select(_ => new int[9])];

    private static HashSet<int> Rows(IReadOnlyList<ResolvedIntervention> resolved) => [.. resolved.SelectMany(one => one.Selections).SelectMany(one => one.Positions).Select(row => row.Row)];

    private static string VectorOf(ResolvedIntervention one) => ((InterventionOperation.Add)one.Source.Operation).Value.Name;
}
