using Lab.CircuitAnalysis.Pruning;
using Lab.Models;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class VerificationTests
{
    [Fact]
    public void RandomCircuits_AnyCircuit_KeepAsManyAtEachSiteAndRepeat()
    {
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        bool[] kept = [.. Enumerable.Range(0, layout.Count).Select(node => node % 3 == 0)];
        using TaskEvaluator evaluator = new(model, layout, PlantedModel.Prompts().HeldOut);
        CircuitVerification verification = new(layout, new WeightGraph(model, layout), evaluator, evaluator, new float[layout.Count]);
        PruningSettings settings = new() { RandomCircuits = 4, Seed = 9 };

        bool[][] circuits = [.. verification.RandomCircuits(kept, settings)];

        circuits.Length.ShouldBe(4);
        foreach (bool[] circuit in circuits)
        {
            foreach (NodeSite site in layout.Sites)
                circuit.AsSpan(site.First, site.Count).Count(true).ShouldBe(kept.AsSpan(site.First, site.Count).Count(true));
        }

        circuits[0].ShouldNotBe(circuits[1]);
        circuits.Select(circuit => string.Concat(circuit)).ShouldBe(verification.RandomCircuits(kept, settings).Select(circuit => string.Concat(circuit)));
    }

    [Fact]
    public void Gradient_EachNode_IsThatOfALineThroughTheMask()
    {
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        float[] means = PlantedModel.Means(model);
        using TaskEvaluator evaluator = new(model, layout, PlantedModel.Prompts().HeldOut);
        bool[] all = [.. Enumerable.Repeat(true, layout.Count)];

        float[] gradient = evaluator.Gradient(all, means, CancellationToken.None);

        // Nodes that matter have one, and those that nothing reads have none at all.
        foreach (string id in PlantedModel.Circuit)
        {
            NodeSite site = layout.Sites.Single(site => id.StartsWith(site.Hook.Name + ":", StringComparison.Ordinal));
            int node = site.First + int.Parse(id.AsSpan(site.Hook.Name.Length + 1), System.Globalization.CultureInfo.InvariantCulture);
            gradient[node].ShouldNotBe(0, id);
        }

        gradient[layout[0, SiteKind.Query].First + 3].ShouldBe(0);
        gradient[layout[0, SiteKind.Value].First + 3].ShouldBe(0);
    }

    [Fact]
    public void Measure_PromptsInOneBatchOrAlone_IsTheSame()
    {
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        float[] means = PlantedModel.Means(model);
        bool[] all = [.. Enumerable.Repeat(true, layout.Count)];
        IReadOnlyList<TaskPair> pairs = PlantedModel.Prompts().HeldOut;
        using TaskEvaluator together = new(model, layout, pairs);

        double alone = pairs.Average(pair =>
        {
            using TaskEvaluator one = new(model, layout, [pair]);
            return one.Measure(all, means, CancellationToken.None).Loss;
        });

        together.Measure(all, means, CancellationToken.None).Loss.ShouldBe(alone, 1e-6);
    }
}
