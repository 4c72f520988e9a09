using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>Moves the gains of norms into the matrices that read them: W (g x) = (W g) x.</summary>
public static class NormFolding
{
    /// <summary>
    /// Folds every gain that can be folded: it becomes 1 and the model computes what it did, to rounding. As many weights are zero as
    /// before. A norm stays as it is where its output is not read by matrices alone: where AbsTopK looks at it first (which channels stay
    /// depends on the gains), where it has a bias, where the unembedding is tied, after a sublayer (Gemma) and per head (Qwen3). So does
    /// one with a gain of 0, which would take weights with it.
    /// </summary>
    /// <param name="model">The model; its weights are changed in place. Call <see cref="Transformer.UseSparseKernels"/> again, where it was called.</param>
    /// <returns>The names of the gains that were folded.</returns>
    public static IReadOnlyList<string> Fold(Transformer model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (TransformerConfig config, TransformerWeights weights) = (model.Config, model.Weights);
        List<string> folded = [];
        foreach (BlockWeights block in weights.Blocks)
        {
            if (!Selects(AbsTopKSites.AttnIn)) FoldBoth(block.Ln1, block.PositionNorm1, [block.Attention.Qkv, block.Attention.Q, block.Attention.K, block.Attention.V]);
            if (!Selects(AbsTopKSites.MlpIn)) FoldBoth(block.Ln2, block.PositionNorm2, [block.Mlp.In, block.Mlp.Linear]);
        }

        if (!config.TiedUnembedding) FoldInto(weights.LnFinal, 0, [new LinearWeights(weights.Unembedding, null)]);
        return folded;

        bool Selects(AbsTopKSites site) => config.ActivationFraction < 1 && config.ActivationSites.HasFlag(site);

        // Concatenated positions are read behind the residual stream's channels.
        void FoldBoth(NormWeights norm, NormWeights? positions, LinearWeights?[] readers)
        {
            FoldInto(norm, 0, readers);
            if (positions is not null) FoldInto(positions, config.DModel, readers);
        }

        void FoldInto(NormWeights norm, long firstChannel, LinearWeights?[] readers)
        {
            Tensor gain = norm.Gain.Value + config.NormGainOffset;
            if (norm.Bias is not null || gain.eq(0).any().item<bool>()) return;
            foreach (LinearWeights reader in readers.OfType<LinearWeights>())
            {
                Tensor read = reader.Weight.Value.narrow(reader.IsInOut ? 0 : 1, firstChannel, gain.shape[0]);
                read.mul_(reader.IsInOut ? gain.unsqueeze(1) : gain);
            }

            norm.Gain.Value.fill_(1 - config.NormGainOffset);
            folded.Add(norm.Gain.Name);
        }
    }
}
