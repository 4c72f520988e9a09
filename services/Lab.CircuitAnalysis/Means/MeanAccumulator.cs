using Lab.CircuitAnalysis.Pruning;
using Lab.Tensors;

namespace Lab.CircuitAnalysis.Means;

/// <summary>Sums activations in double precision.</summary>
internal sealed class MeanAccumulator(NodeLayout layout)
{
    private readonly double[] _sums = new double[layout.Count];
    private long _positions;

    /// <summary>Adds one batch.</summary>
    /// <param name="activations">For each site, in the layout's order: FP32 [rows, length, ...channels].</param>
    /// <param name="rows">Rows of the batch.</param>
    /// <param name="length">Tokens of a row.</param>
    /// <exception cref="InvalidDataException">A tensor does not have its site's shape.</exception>
    public void Add(IReadOnlyList<HostTensor> activations, int rows, int length)
    {
        for (int i = 0; i < layout.Sites.Count; i++)
        {
            NodeSite site = layout.Sites[i];
            if (activations[i].DataType != TensorDataType.Float32 || !activations[i].Shape.SequenceEqual([rows, length, .. site.ChannelShape]))
                throw new InvalidDataException($"{activations[i]} is not {site.Hook.Name} of {rows} rows of {length} tokens.");
            ReadOnlySpan<float> values = activations[i].Floats;
            Span<double> sums = _sums.AsSpan(site.First, site.Count);
            for (int position = 0; position < rows * length; position++)
            {
                ReadOnlySpan<float> channels = values.Slice(position * site.Count, site.Count);
                for (int channel = 0; channel < sums.Length; channel++) sums[channel] += channels[channel];
            }
        }

        _positions += rows * length;
    }

    /// <summary>The means of what was added.</summary>
    public float[] ToMeans() => [.. _sums.Select(sum => (float)(sum / _positions))];
}
