using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>What a masked model does on a set of prompts.</summary>
/// <param name="Loss">Mean task loss, nats per prompt.</param>
/// <param name="Accuracy">The fraction of prompts whose right answer has the larger logit.</param>
internal readonly record struct TaskScore(double Loss, double Accuracy);

/// <summary>Measures a model with ablated nodes on a fixed set of prompts. Used on the worker's thread only.</summary>
internal sealed class TaskEvaluator : IDisposable
{
    private const int BatchRows = 128;

    private readonly Transformer _model;
    private readonly NodeLayout _layout;
    private readonly List<PromptBatch> _batches = [];
    private readonly int _rows;

    public TaskEvaluator(Transformer model, NodeLayout layout, IEnumerable<TaskPair> pairs)
    {
        (_model, _layout) = (model, layout);

        // Prompts of like length together: less padding.
        foreach (TaskPrompt[] prompts in pairs.SelectMany(pair => new[] { pair.First, pair.Second }).OrderBy(prompt => prompt.Tokens.Length).Chunk(BatchRows))
        {
            _batches.Add(new PromptBatch(prompts, model.Config.NCtx, model.Device));
            _rows += prompts.Length;
        }

        Tokens = _batches.Sum(batch => batch.Ids.numel());
    }

    /// <summary>Positions, with padding, of one pass over all prompts.</summary>
    public long Tokens { get; }

    /// <summary>Runs all prompts with the nodes of <paramref name="kept"/>; the others are <paramref name="ablated"/>.</summary>
    /// <exception cref="InvalidDataException">The model's logits are not finite.</exception>
    public TaskScore Measure(bool[] kept, float[] ablated, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        NodeMask mask = new(_layout, MaskTensor(kept), Vector(ablated));
        double loss = 0;
        long right = 0;
        foreach (PromptBatch batch in _batches)
        {
            ct.ThrowIfCancellationRequested();
            using var pass = NewDisposeScope();
            Tensor margins = batch.Margins(_model.Forward(batch.Ids, mask));
            loss += PromptBatch.Losses(margins).sum(ScalarType.Float64).item<double>();
            right += margins.gt(0).sum().item<long>();
        }

        return new TaskScore(RequireFinite(loss) / _rows, (double)right / _rows);
    }

    /// <summary>The derivative of the mean task loss by each node's mask.</summary>
    public float[] Gradient(bool[] kept, float[] ablated, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        Tensor m = MaskTensor(kept).requires_grad_();
        Tensor means = Vector(ablated), sum = zeros_like(m);
        foreach (PromptBatch batch in _batches)
        {
            ct.ThrowIfCancellationRequested();
            using var pass = NewDisposeScope();
            Tensor margins = batch.Margins(_model.Forward(batch.Ids, new NodeMask(_layout, m, means)));
            sum.add_(autograd.grad([PromptBatch.Losses(margins).sum()], [m])[0]);
        }

        return (sum / _rows).cpu().data<float>().ToArray();
    }

    public void Dispose()
    {
        foreach (PromptBatch batch in _batches) batch.Dispose();
    }

    internal static double RequireFinite(double loss) => double.IsFinite(loss)
        ? loss
        : throw new InvalidDataException("The model's logits are not finite numbers; its weights are damaged.");

    private Tensor MaskTensor(bool[] kept) => Vector([.. kept.Select(keep => keep ? 1f : 0f)]);

    private Tensor Vector(float[] values) => tensor(values, device: _model.Device);
}
