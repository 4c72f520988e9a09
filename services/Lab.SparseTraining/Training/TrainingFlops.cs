using Lab.Models;

namespace Lab.SparseTraining.Training;

/// <summary>Model FLOPs: what forward and backward take if every weight and activation is computed with, zeros too.</summary>
internal static class TrainingFlops
{
    /// <summary>
    /// For each token of training: 2 operations for each weight of a matrix that multiplies forward and 4 backward, and as much for
    /// scores and mixtures of attention over the whole context.
    /// </summary>
    public static double PerToken(Transformer model)
    {
        TransformerConfig config = model.Config;
        double weights = model.Weights.All.Where(parameter => IsMultiplied(parameter.Name, parameter.Value.dim())).Sum(parameter => (double)parameter.Value.numel());
        return 6 * weights + 12.0 * config.NLayers * config.NCtx * config.NHeads * config.DHead;
    }

    private static bool IsMultiplied(string name, long dimensions) =>
        dimensions == 2 && name is not ("bigram_table" or "transformer.wte.weight" or "transformer.wpe.weight");
}
