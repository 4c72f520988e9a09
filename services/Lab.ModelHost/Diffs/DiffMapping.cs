using Lab.ModelHost.Passes;
using Lab.Models.Diffs;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Diffs;

/// <summary>What comparisons are asked for.</summary>
internal static class DiffMapping
{
    /// <summary>What to tell.</summary>
    /// <param name="request">The request.</param>
    /// <param name="logits">Which logits the run asks for.</param>
    public static DiffOptions ToOptions(this Proto.DiffRequest request, LogitsSelection logits)
    {
        if (!float.IsFinite(request.MinNorm) || request.MinNorm < 0) throw new InvalidRequestException("min_norm", $"It must be finite and not negative, not {request.MinNorm}.");
        return new DiffOptions
        {
            Parts = request.Deltas switch
            {
                Proto.DeltaMode.Unspecified or Proto.DeltaMode.Deltas => DeltaParts.Deltas,
                Proto.DeltaMode.Norms => DeltaParts.Norms,
                Proto.DeltaMode.DeltasAndNorms => DeltaParts.Deltas | DeltaParts.Norms,
                _ => throw new InvalidRequestException("deltas", $"{(int)request.Deltas} is no mode."),
            },
            MinNorm = request.MinNorm,
            Logits = logits switch
            {
                LogitsSelection.None => DiffLogits.None,
                LogitsSelection.Last => DiffLogits.Last,
                _ => DiffLogits.All,
            },
            Divergence = request.Divergence switch
            {
                Proto.DivergenceMode.Unspecified or Proto.DivergenceMode.None => Divergence.None,
                Proto.DivergenceMode.Final => Divergence.Final,
                Proto.DivergenceMode.LogitLens => Divergence.LogitLens,
                _ => throw new InvalidRequestException("divergence", $"{(int)request.Divergence} is no mode."),
            },
        };
    }
}
