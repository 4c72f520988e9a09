using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>
/// The whole of a pruning run that works on tensors: searches, bisection, clean-up, verification. Synchronous, for a worker's
/// thread. Deterministic in its inputs, whether or not finished searches are found in the folder.
/// </summary>
internal sealed class CircuitPruner(Transformer model, float[] means, TaskPrompts prompts, PruningSettings settings, SearchFolder searches, IPruningProgress progress)
{
    private const int ReportEvery = 10, ImportancePairs = 16;

    /// <summary>Operations that the clean-up may take: some 15 s on two cores.</summary>
    private const double CleanUpOperations = 1.5e12;

    private readonly NodeLayout _layout = new(model.Hooks);

    public Circuit Run(CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        WeightGraph graph = new(model, _layout);
        using TaskEvaluator heldOut = new(model, _layout, prompts.HeldOut);
        using TaskEvaluator test = new(model, _layout, prompts.Test);
        float[][] logits = Search(ct);
        (bool[] kept, float[] chosen) = Discretize(logits, graph, heldOut, ct);
        if (settings.CleanUp && kept.Contains(false))
        {
            CircuitCleanUp cleanUp = new(heldOut, graph, means, settings.TargetLoss, CleanUpBudget(heldOut));
            kept = cleanUp.Run(kept, (done, total) => progress.Report("cleaning up", done, total, "evaluations"), ct);
        }

        CircuitVerification verification = new(_layout, graph, heldOut, test, means);
        CircuitMeasurement measurement = verification.Measure(kept, settings, (done, total) => progress.Report("verifying", done, total, "evaluations"), ct);
        using TaskEvaluator some = new(model, _layout, prompts.HeldOut.Take(ImportancePairs));
        double[] importance = NodeImportance.Measure(some, kept, means, (done, total) => progress.Report("ranking nodes", done, total, "nodes"), ct);
        return Describe(measurement, graph, kept, chosen, importance);
    }

    private float[][] Search(CancellationToken ct)
    {
        MaskSearch search = new(model, _layout, means, prompts.Training, settings);
        float[][] logits = new float[settings.NodePenalties.Count][];
        long total = (long)settings.Steps * logits.Length;
        for (int i = 0; i < logits.Length; i++)
        {
            long before = (long)settings.Steps * i;
            logits[i] = searches.Find(i, _layout.Count) ?? searches.Save(i, search.Run(settings.NodePenalties[i], Report, ct));
            progress.Report("learning masks", before + settings.Steps, total, "steps");

            void Report(int step, double loss, double nodes)
            {
                if (step % ReportEvery != 0 && step != settings.Steps) return;
                progress.Report("learning masks", before + step, total, "steps");
                progress.Metric("step", before + step);
                progress.Metric("loss", loss);
                progress.Metric("nodes", nodes);
            }
        }

        return logits;
    }

    /// <summary>The circuit of fewest edges over the searches; the whole model if none reaches the target.</summary>
    private (bool[] Kept, float[] Logits) Discretize(float[][] searched, WeightGraph graph, TaskEvaluator heldOut, CancellationToken ct)
    {
        bool[] all = [.. Enumerable.Repeat(true, _layout.Count)];
        using TaskEvaluator training = new(model, _layout, prompts.Training.Take(settings.HeldOutPairs));
        float[] effect = training.Gradient(all, means, ct);
        (bool[] Kept, float[] Logits, long Edges) best = (all, searched[0], long.MaxValue);
        int evaluations = 0;
        foreach (float[] logits in searched)
        {
            int[] ranking = NodeRanking.Rank(logits, effect);
            double LossAt(int count)
            {
                progress.Report("bisecting", ++evaluations, 0, "evaluations");
                return heldOut.Measure(NodeRanking.Keep(ranking, count), means, ct).Loss;
            }

            if (Bisection.Smallest(_layout.Count, LossAt, settings.TargetLoss) is not { } count) continue;
            bool[] kept = NodeRanking.Keep(ranking, count);
            long edges = graph.CountEdges(kept);
            if (edges < best.Edges) best = (kept, logits, edges);
        }

        return (best.Kept, best.Logits);
    }

    private int CleanUpBudget(TaskEvaluator heldOut)
    {
        double operations = 2.0 * heldOut.Tokens * model.Weights.All.Where(parameter => parameter.Value.dim() == 2).Sum(parameter => parameter.Value.numel());
        return (int)Math.Clamp(CleanUpOperations / operations, 24, 200);
    }

    private Circuit Describe(CircuitMeasurement measurement, WeightGraph graph, bool[] kept, float[] logits, double[] importance)
    {
        CircuitNode Node(int node)
        {
            NodeSite site = _layout.SiteOf(node);
            return new CircuitNode(site.Id(node), site, node - site.First, site.Head(node), logits[node], importance[node], means[node]);
        }

        return new Circuit(
            measurement,
            [.. Enumerable.Range(0, kept.Length).Where(node => kept[node]).Select(Node)],
            [.. graph.Edges(kept).OrderByDescending(edge => Math.Abs(edge.Weight)).ThenBy(edge => edge.Source).ThenBy(edge => edge.Target)
                .Take(Circuit.MostEdges).Select(edge => new CircuitEdge(_layout.SiteOf(edge.Source).Id(edge.Source), _layout.SiteOf(edge.Target).Id(edge.Target), edge.Weight))]);
    }
}
