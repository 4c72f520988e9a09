using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Diffs;

/// <summary>Two runs over one batch, clean and changed, that go through the model side by side; everything is checked.</summary>
/// <param name="Forward">The batch, where to compare (its captures), and what to change.</param>
/// <param name="Options">What to tell.</param>
/// <param name="DataType">The type of differences; norms and divergences are FP32.</param>
public sealed record DiffPlan(ForwardPlan Forward, DiffOptions Options, TensorDataType DataType)
{
    /// <summary>The tensors that it gives, in order: those of captures in the order of the forward pass, of logits, divergences.</summary>
    /// <param name="config">The model's sizes.</param>
    public IReadOnlyList<PlannedDelta> Tensors(TransformerConfig config)
    {
        List<PlannedDelta> tensors = [];
        for (int i = 0; i < Forward.Captures.Count; i++)
        {
            ResolvedSelection capture = Forward.Captures[i];
            if (Options.Parts.HasFlag(DeltaParts.Deltas)) tensors.Add(new PlannedDelta($"delta/{capture.Hook.Name}", capture.Shape, DataType, i));
            if (!Options.Parts.HasFlag(DeltaParts.Norms)) continue;
            tensors.Add(new PlannedDelta($"norm/{capture.Hook.Name}", [.. capture.Shape.SkipLast(1)], TensorDataType.Float32, i));
            tensors.Add(new PlannedDelta($"relative_norm/{capture.Hook.Name}", [.. capture.Shape.SkipLast(1)], TensorDataType.Float32, i));
        }

        (long rows, long length) = (Forward.Batch.Count, Forward.Batch.Length);
        if (Options.Logits == DiffLogits.Last) tensors.Add(new PlannedDelta("delta/logits", [rows, config.DVocab], DataType, null));
        if (Options.Logits == DiffLogits.All) tensors.Add(new PlannedDelta("delta/logits", [rows, length, config.DVocab], DataType, null));
        if (Options.Divergence == Divergence.Final) tensors.Add(new PlannedDelta("kl", [rows, length], TensorDataType.Float32, null));
        if (Options.Divergence == Divergence.LogitLens) tensors.Add(new PlannedDelta("kl", [config.NLayers, rows, length], TensorDataType.Float32, null));
        return tensors;
    }
}
