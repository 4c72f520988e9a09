using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>Measures a circuit with its controls.</summary>
internal sealed class CircuitVerification(NodeLayout layout, WeightGraph graph, TaskEvaluator heldOut, TaskEvaluator test, float[] means)
{
    /// <summary>Sufficiency, necessity, random circuits of the same size at each site, zero ablation and unseen prompts.</summary>
    public CircuitMeasurement Measure(bool[] kept, PruningSettings settings, Action<int, int> report, CancellationToken ct)
    {
        int total = settings.RandomCircuits + 5, done = 0;
        TaskScore Score(TaskEvaluator evaluator, bool[] mask, float[] ablated)
        {
            TaskScore score = evaluator.Measure(mask, ablated, ct);
            report(++done, total);
            return score;
        }

        TaskScore whole = Score(heldOut, [.. kept.Select(_ => true)], means);
        TaskScore circuit = Score(heldOut, kept, means);
        TaskScore without = Score(heldOut, [.. kept.Select(keep => !keep)], means);
        TaskScore zero = Score(heldOut, kept, new float[kept.Length]);
        TaskScore unseen = Score(test, kept, means);
        double[] random = [.. RandomCircuits(kept, settings).Select(mask => Score(heldOut, mask, means).Loss)];
        double mean = random.Average();
        return new CircuitMeasurement
        {
            TaskAccuracy = whole.Accuracy,
            TaskLoss = whole.Loss,
            Nodes = kept.Count(keep => keep),
            TotalNodes = kept.Length,
            Edges = graph.CountEdges(kept),
            TotalEdges = graph.TotalEdges,
            Loss = circuit.Loss,
            LossWithout = without.Loss,
            RandomLoss = mean,
            RandomLossStddev = random.Length > 1 ? Math.Sqrt(random.Sum(loss => (loss - mean) * (loss - mean)) / (random.Length - 1)) : 0,
            ZeroAblationLoss = zero.Loss,
            CircuitAccuracy = circuit.Accuracy,
            TestLoss = unseen.Loss,
            TargetReached = circuit.Loss <= settings.TargetLoss,
        };
    }

    /// <summary>Circuits that keep as many nodes at each site as <paramref name="kept"/>, drawn at random.</summary>
    internal IEnumerable<bool[]> RandomCircuits(bool[] kept, PruningSettings settings)
    {
        using Generator generator = new((ulong)settings.Seed);
        bool[][] circuits = new bool[settings.RandomCircuits][];
        for (int i = 0; i < circuits.Length; i++)
        {
            circuits[i] = new bool[kept.Length];
            foreach (NodeSite site in layout.Sites)
            {
                int count = kept.AsSpan(site.First, site.Count).Count(true);
                using Tensor shuffled = randperm(site.Count, generator: generator);
                foreach (long channel in shuffled.data<long>().ToArray().Take(count)) circuits[i][site.First + channel] = true;
            }
        }

        return circuits;
    }
}
