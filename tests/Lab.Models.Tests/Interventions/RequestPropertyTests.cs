using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.Models.Tests.Batching;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

/// <summary>Random models and requests, with every operation and with weight edits.</summary>
public sealed class RequestPropertyTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 24)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void CoBatch_RequestsOfDifferentInterventions_GiveWhatEachGivesAlone(int seed)
    {
        Random random = new(seed);
        using Transformer model = RandomModel.Of(random);
        ForwardPlan[] plans = [.. Enumerable.Range(0, 4).Select(_ => RandomPlan(random, model))];

        HostTensor[] together = Run(model, plans);

        for (int i = 0; i < plans.Length; i++)
        {
            HostTensor alone = Run(model, plans[i])[0];
            ShouldEqual(together[i], alone, plans[i]);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Generation_WithCache_EqualsOnePassWithTheSameTokensChanged(int seed)
    {
        Random random = new(1000 + seed);
        using Transformer model = RandomModel.Of(random);
        int[] row = RandomModel.Row(random, model.Config, 8);
        int prompt = random.Next(1, 5);
        Intervention[] interventions = [.. Enumerable.Range(0, 4).Select(_ => RandomInterventions.At(random, model, selector => Narrow(random, selector, row), isDecoded: true))];
        WeightEdit[] edits = [.. Enumerable.Range(0, 2).Select(_ => RandomInterventions.Edit(random, model, Narrow(random, new ActivationSelector(""), row)))];
        ForwardPlan prefill = ForwardPlan.Resolve(
            model.Hooks, new TokenBatch(model.Config, [row[..prompt]]), [], interventions, reach: row.Length, edits: edits, parameters: model.Parameters);

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using SequenceCache cache = new(model, row.Length);
        List<Tensor> logits = [];
        List<int>[] changed = [.. interventions.Select(_ => new List<int>())], edited = [.. edits.Select(_ => new List<int>())];
        for (int past = 0; past < row.Length; past = past == 0 ? prompt : past + 1)
        {
            ForwardPlan plan = past == 0 ? prefill : prefill.AtStep(new TokenBatch(model.Config, [[row[past]]]), new StepPosition(past, past - prompt));
            for (int i = 0; i < changed.Length; i++) changed[i].AddRange(plan.Interventions[i].Selections[0].Positions.Single().Positions);
            for (int i = 0; i < edited.Length; i++) edited[i].AddRange(plan.Edits[i].Tokens.PresentTokens().Tokens.Select(token => past + (int)token));
            logits.Add(Forward(model, plan, [cache]));
        }

        // In one pass, the tokens that were changed as they came are named by their positions.
        ForwardPlan whole = ForwardPlan.Resolve(
            model.Hooks,
            new TokenBatch(model.Config, [row]),
            [],
            [.. interventions.Select((one, i) => one with { Selector = At(one.Selector with { Steps = null, Phase = GenerationPhase.Both }, changed[i]) })],
            edits: [.. edits.Select((one, i) => one with { Tokens = At(new ActivationSelector(""), edited[i]) })],
            parameters: model.Parameters);
        ShouldEqual(cat([.. logits], 1).ToHost("logits"), Forward(model, whole, null).ToHost("logits"), whole);
    }

    private static ActivationSelector At(ActivationSelector selector, List<int> positions) => selector with
    {
        Positions = [],
        TokenIds = [],
        PositionRanges = positions.Count == 0 ? [new IndexRange(100)] : [.. positions.Select(position => new IndexRange(position, position))],
        From = null,
    };

    private static ForwardPlan RandomPlan(Random random, Transformer model)
    {
        int[][] rows = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomModel.Row(random, model.Config, random.Next(1, 8)))];
        rows[0] = RandomModel.Row(random, model.Config, 8);
        Intervention[] interventions = [.. Enumerable.Range(0, random.Next(4)).Select(_ => RandomInterventions.At(
            random, model, selector => selector with { Rows = random.Next(2) == 0 ? [] : [random.Next(rows.Length)], Positions = random.Next(2) == 0 ? [] : [-1] }, isDecoded: false))];
        WeightEdit[] edits = [.. Enumerable.Range(0, random.Next(3)).Select(_ => RandomInterventions.Edit(random, model, random.Next(2) == 0 ? null : new ActivationSelector("") { Rows = [0] }))];
        return ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, rows), [], interventions, edits: edits, parameters: model.Parameters);
    }

    private static ActivationSelector Narrow(Random random, ActivationSelector selector, int[] row)
    {
        selector = random.Next(5) switch
        {
            0 => selector,
            1 => selector with { Positions = [random.Next(8), -1] },
            2 => selector with { PositionRanges = [new IndexRange(random.Next(4), random.Next(4, 8))] },
            3 => selector with { PositionRanges = [new IndexRange(-random.Next(1, 3))], Positions = [0] },
            _ => selector with { TokenIds = [row[0], row[5], row[7]] },
        };
        return random.Next(4) switch
        {
            0 => selector with { From = random.Next(6) },
            1 => selector with { Phase = (GenerationPhase)random.Next(3) },
            2 => selector with { Steps = new IndexRange(random.Next(2), random.Next(2) == 0 ? null : 3) },
            _ => selector,
        };
    }

    private static HostTensor[] Run(Transformer model, params ForwardPlan[] plans)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        PassMember[] members = [.. plans.Select(plan => new PassMember((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).Rows)
        {
            Tap = new InterventionTap(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin),
            Edits = plan.Edits.Count == 0 ? null : new WeightEdits(plan.Edits, plan.Batch.Count, plan.NeedsTwin),
        })];
        IReadOnlyList<Tensor?> logits = CoBatch.Forward(model, members);
        foreach (PassMember member in members) member.Failure.ShouldBeNull();
        return [.. logits.Select(one => one!.ToHost("logits"))];
    }

    private static Tensor Forward(Transformer model, ForwardPlan plan, IReadOnlyList<SequenceCache>? caches)
    {
        using InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths);
        return model.Forward(new ForwardInput(plan.Batch.ToTensor(CPU)) { Caches = caches, Edits = new WeightEdits(plan.Edits, plan.Batch.Count) }, tap)!;
    }

    private static void ShouldEqual(HostTensor actual, HostTensor expected, ForwardPlan plan)
    {
        actual.Shape.ShouldBe(expected.Shape);
        for (int i = 0; i < actual.ElementCount; i++)
        {
            (float a, float e) = (actual.Floats[i], expected.Floats[i]);
            bool isClose = Math.Abs(a - e) <= 2e-5 * (1 + Math.Abs(e));
            if (!isClose)
            {
                string what = string.Join(", ", plan.Interventions.Select(one => $"{one.Source.Operation} at {one.Source.Selector.Hook}").Concat(plan.Edits.Select(edit => edit.Source.Parameter)));
                throw new ShouldAssertException($"element {i}: {a} and {e}; {what}");
            }
        }
    }
}
