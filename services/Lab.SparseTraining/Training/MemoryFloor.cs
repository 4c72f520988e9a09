using Lab.Models;

namespace Lab.SparseTraining.Training;

/// <summary>The law that weights and moments have room in memory: a run that ends its process for want of it would be taken up at each start.</summary>
internal static class MemoryFloor
{
    /// <summary>Of weights and both moments. Gradients and activations come on top.</summary>
    private const double BytesPerParameter = 12;

    /// <summary>Checks the matrices of the layers, before there is a vocabulary.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="availableBytes">The machine's memory.</param>
    /// <exception cref="ArgumentException">They have not. ParamName is the field.</exception>
    public static void Require(TransformerConfig config, long availableBytes)
    {
        double width = (double)config.NHeads * config.DHead;
        double layer = (3 * width * config.DRead) + (width * config.DModel) + ((double)config.DMlp * config.DRead) + ((double)config.DMlp * config.DModel);
        double bytes = BytesPerParameter * config.NLayers * layer;
        if (bytes <= availableBytes) return;
        throw new ArgumentException(
            $"The layers' weights and their moments take at least {bytes / (1L << 30):0} GiB, of {availableBytes / (1L << 30)} GiB that the machine has.", "config.model");
    }
}
