using Lab.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Transformer = Lab.Models.Transformer;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>
/// Learns one mask logit a node: the task loss plus a price for each kept node, by AdamW through the step function's
/// stand-in gradient (Gao et al. 2025, A.5). The initial values are the paper's search centres.
/// </summary>
internal sealed class MaskSearch(Transformer model, NodeLayout layout, float[] means, IReadOnlyList<TaskPair> pairs, PruningSettings settings)
{
    private const double InitialLogit = 0.1, InitialNoise = 0.01, Beta1 = 0.9, Beta2 = 1 - 5e-2, WeightDecay = 1e-3, MaxGradientNorm = 1;

    /// <summary>Runs one search.</summary>
    /// <param name="nodePenalty">The price of a node.</param>
    /// <param name="report">Told the steps done, the batch's task loss and the nodes kept, at times.</param>
    /// <param name="ct">Ends the search between two steps.</param>
    /// <returns>The mask logits, [nodes], from -1 to 1.</returns>
    public float[] Run(double nodePenalty, Action<int, double, double> report, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new((ulong)settings.Seed);
        Tensor initial = randn(layout.Count, generator: generator).mul_(InitialNoise).add_(InitialLogit).clamp_(-1, 1);
        using Parameter tau = new(initial.to(model.Device));
        using AdamW optimizer = optim.AdamW([tau], settings.LearningRate, Beta1, Beta2, weight_decay: WeightDecay);
        Tensor ablated = tensor(means, device: model.Device);
        PairOrder order = new(pairs.Count, generator);
        for (int step = 0; step < settings.Steps; step++)
        {
            ct.ThrowIfCancellationRequested();
            foreach (var group in optimizer.ParamGroups) group.LearningRate = settings.LearningRate * (1 - (double)step / settings.Steps);
            (double loss, double nodes) = Step(tau, optimizer, ablated, order.Next(Math.Min(settings.BatchPairs, pairs.Count)), nodePenalty);
            report(step + 1, loss, nodes);
        }

        return tau.detach().cpu().data<float>().ToArray();
    }

    private (double Loss, double Nodes) Step(Parameter tau, AdamW optimizer, Tensor ablated, int[] chosen, double nodePenalty)
    {
        using var scope = NewDisposeScope();
        using PromptBatch batch = new([.. chosen.SelectMany(pair => new[] { pairs[pair].First, pairs[pair].Second })], model.Config.NCtx, model.Device);
        optimizer.zero_grad();
        Tensor mask = StepFunction.Apply(tau, settings.HeavisideTemperature);
        Tensor taskLoss = PromptBatch.Losses(batch.Margins(model.Forward(batch.Ids, new NodeMask(layout, mask, ablated)))).mean();
        Tensor nodes = mask.sum();
        (taskLoss + nodePenalty * nodes).backward();
        nn.utils.clip_grad_norm_([tau], MaxGradientNorm);
        optimizer.step();
        using (no_grad()) tau.clamp_(-1, 1);
        return (TaskEvaluator.RequireFinite(taskLoss.item<float>()), nodes.item<float>());
    }

    /// <summary>Draws pairs without replacement, shuffled anew whenever too few are left.</summary>
    private sealed class PairOrder(int count, Generator generator)
    {
        private long[] _order = [];
        private int _next;

        public int[] Next(int take)
        {
            if (_next + take > _order.Length)
            {
                using Tensor shuffled = randperm(count, generator: generator);
                (_order, _next) = (shuffled.data<long>().ToArray(), 0);
            }

            int[] drawn = [.. _order.Skip(_next).Take(take).Select(pair => (int)pair)];
            _next += take;
            return drawn;
        }
    }
}
