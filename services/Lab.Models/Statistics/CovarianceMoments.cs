using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Lab.Models.Statistics;

/// <summary>Sums of products of deviations, for all pairs of channels, in double: [channels, channels], symmetric.</summary>
internal sealed class CovarianceMoments(int channels)
{
    public double[] Products { get; } = new double[checked(channels * channels)];

    public double[] Mean { get; } = new double[channels];

    /// <summary>Adds tokens.</summary>
    /// <param name="values">[rows, channels].</param>
    /// <param name="rows">Which rows, all finite; at least one.</param>
    /// <param name="count">The tokens that were added before.</param>
    public void Add(ReadOnlySpan<float> values, ReadOnlySpan<int> rows, long count)
    {
        double[] block = new double[rows.Length * channels], mean = new double[channels], shift = new double[channels];
        ReadOnlySpan<float> first = values.Slice(rows[0] * channels, channels);
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<float> row = values.Slice(rows[i] * channels, channels);
            for (int c = 0; c < channels; c++) shift[c] += block[(i * channels) + c] = (double)row[c] - first[c];
        }

        for (int c = 0; c < channels; c++) mean[c] = first[c] + (shift[c] /= rows.Length);
        for (int i = 0; i < block.Length; i++) block[i] -= shift[i % channels];
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor centred = tensor(block, rows.Length, channels);
        Merge(mean, MemoryMarshal.Cast<byte, double>(centred.t().mm(centred).bytes), count, rows.Length);
    }

    /// <summary>Adds what another has seen.</summary>
    public void Merge(CovarianceMoments other, long count, long otherCount)
    {
        // A copy: merging with itself is lawful.
        if (otherCount > 0) Merge([.. other.Mean], other.Products, count, otherCount);
    }

    private void Merge(double[] otherMean, ReadOnlySpan<double> otherProducts, long count, long otherCount)
    {
        double total = (double)count + otherCount, weight = count / total * otherCount;
        double[] delta = [.. otherMean.Zip(Mean, (other, own) => other - own)];
        for (int i = 0; i < channels; i++)
        {
            int row = i * channels;
            double scaled = weight * delta[i];
            for (int j = 0; j < channels; j++) Products[row + j] += otherProducts[row + j] + (scaled * delta[j]);
        }

        for (int i = 0; i < channels; i++) Mean[i] = count == 0 ? otherMean[i] : Mean[i] + (delta[i] * (otherCount / total));
    }
}
