using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Batching;

public sealed class CachedPassTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(100, 16)];

    /// <summary>A sequence whose tokens are known: some are read at once, the others one by one.</summary>
    private sealed record Sequence(int[] Tokens, int Prompt, ActivationSelector[] Captures, Intervention[] Interventions)
    {
        public static Sequence Random(Random random, Transformer model)
        {
            int length = random.Next(6, 20);
            HookPoint Hook() => model.Hooks.All[random.Next(model.Hooks.All.Count)];
            HookPoint Plain() => Enumerable.Range(0, int.MaxValue).Select(_ => Hook()).First(hook => !hook.IsOnRequest);
            Intervention[] interventions = [.. Enumerable.Range(0, random.Next(3)).Select(_ => new Intervention(
                new ActivationSelector(Plain().Name) { Positions = random.Next(2) == 0 ? [] : [random.Next(length), 0] },
                random.Next(2) == 0 ? new InterventionOperation.Scale(0.5f + (float)random.NextDouble()) : new InterventionOperation.Add(HostTensor.FromFloats("", [(float)random.NextDouble()]))))];
            return new Sequence(RandomModel.Row(random, model.Config, length), random.Next(1, length), [new ActivationSelector("blocks.*.*"), new ActivationSelector("unembed.hook_out")], interventions);
        }
    }

    private static (PassMember Member, CaptureTap Captured) Member(ForwardPlan plan, SequenceCache? cache)
    {
        CaptureTap captured = new(plan.Captures);
        InterventionTap interventions = new(plan.Interventions, plan.Batch.Lengths);
        return (new PassMember(plan.Batch.Rows)
        {
            Caches = cache is null ? null : [cache],
            Tap = new ForwardTap(interventions, captured, CancellationToken.None),
            Logits = LogitSelection.None,
        }, captured);
    }

    private static IReadOnlyList<HostTensor>[] Run(Transformer model, params (ForwardPlan Plan, SequenceCache? Cache)[] members)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (PassMember Member, CaptureTap Captured)[] begun = [.. members.Select(one => Member(one.Plan, one.Cache))];
        CoBatch.Forward(model, [.. begun.Select(one => one.Member)]);
        foreach ((PassMember member, _) in begun) member.Failure.ShouldBeNull();
        return [.. begun.Select(one => one.Captured.Tensors)];
    }

    /// <summary>Positions [start, start + count) of [1, pos, ...].</summary>
    private static float[] Part(HostTensor tensor, int start, int count)
    {
        long perToken = tensor.ElementCount / tensor.Shape[1];
        return tensor.Floats.Slice((int)(start * perToken), (int)(count * perToken)).ToArray();
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Forward_TokenByToken_GivesWhatOnePassOverAllGives(int seed)
    {
        Random random = new(seed);
        using Transformer model = RandomModel.Of(random);
        Sequence[] sequences = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Sequence.Random(random, model))];
        SequenceCache[] caches = [.. sequences.Select(sequence => new SequenceCache(model, sequence.Tokens.Length))];
        ForwardPlan[] plans = [.. sequences.Select(sequence => ForwardPlan.Resolve(
            model.Hooks, new TokenBatch(model.Config, [sequence.Tokens[..sequence.Prompt]]), sequence.Captures, sequence.Interventions, reach: sequence.Tokens.Length))];
        IReadOnlyList<HostTensor>[] whole = [.. sequences.Select(sequence => Run(
            model, (ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, [sequence.Tokens]), sequence.Captures, sequence.Interventions), null))[0])];

        // All prompts in one pass, then one token of each that has more, until all are done.
        Check(sequences, [.. Enumerable.Range(0, sequences.Length)], Run(model, [.. plans.Zip(caches, (plan, cache) => (plan, (SequenceCache?)cache))]), _ => 0, i => sequences[i].Prompt);
        for (int step = 0; step < sequences.Max(sequence => sequence.Tokens.Length - sequence.Prompt); step++)
        {
            int[] going = [.. Enumerable.Range(0, sequences.Length).Where(i => sequences[i].Prompt + step < sequences[i].Tokens.Length)];
            int At(int i) => sequences[i].Prompt + step;
            var captured = Run(model, [.. going.Select(i => (
                plans[i].AtStep(new TokenBatch(model.Config, [[sequences[i].Tokens[At(i)]]]), new StepPosition(At(i), step)), (SequenceCache?)caches[i]))]);
            Check(sequences, going, captured, At, _ => 1);
        }

        foreach (SequenceCache cache in caches) cache.Dispose();

        void Check(Sequence[] all, int[] going, IReadOnlyList<HostTensor>[] captured, Func<int, int> start, Func<int, int> count)
        {
            for (int g = 0; g < going.Length; g++)
            {
                captured[g].Count.ShouldBe(whole[going[g]].Count);
                foreach ((HostTensor actual, HostTensor full) in captured[g].Zip(whole[going[g]]))
                {
                    float[] expected = Part(full, start(going[g]), count(going[g]));
                    for (int i = 0; i < expected.Length; i++)
                    {
                        bool isClose = Math.Abs(actual.Floats[i] - expected[i]) <= 1e-5 * (1 + Math.Abs(expected[i]));
                        if (!isClose) throw new ShouldAssertException($"{actual.Name} from position {start(going[g])}, element {i}: {actual.Floats[i]} and {expected[i]}");
                    }
                }
            }
        }
    }
}
