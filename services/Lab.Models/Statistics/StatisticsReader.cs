using System.Runtime.InteropServices;
using Lab.Tensors;

namespace Lab.Models.Statistics;

/// <summary>Builds statistics from the tensors of a file, and checks every number of them that other numbers depend on.</summary>
/// <param name="file">The tensors.</param>
/// <param name="name">What the file is, for errors.</param>
/// <param name="maxSizeBytes">The most memory that quantiles may take.</param>
/// <param name="reserve">Gets the bytes of memory that are about to be taken.</param>
internal sealed class StatisticsReader(SafetensorsBytes file, string name, long maxSizeBytes, Action<long>? reserve)
{
    private long _sizeBytes;

    private readonly HashSet<string> _read = [];

    /// <exception cref="InvalidDataException">A tensor is missing or malformed.</exception>
    public ActivationStatistics Read(StatisticsHeader header)
    {
        // The tensors' sizes come first: no memory is taken that the file does not have.
        double[] mean = Take<double>(header, "mean", TensorDataType.Float64, header.Shape);
        reserve?.Invoke((long)(header.Options() with { QuantileError = 0 }).EstimateBytes(mean.Length));
        ActivationStatistics statistics = new(header.Hook, header.Shape, header.Options());
        header.Restore(statistics);
        ReadMoments(header, statistics, mean);
        ReadNorm(header, statistics);
        ReadExtremes(header, "top", statistics, statistics.Largest, header.TopCount);
        ReadExtremes(header, "bottom", statistics, statistics.Smallest, header.BottomCount);
        if (statistics.Products is { } products) ReadProducts(header, statistics, products);
        if (statistics.Sketches.Length > 0) ReadSketches(header, statistics);
        return statistics;
    }

    /// <exception cref="InvalidDataException">The file has a tensor that does not belong to it.</exception>
    public void RequireNoMore()
    {
        if (file.Tensors.Keys.FirstOrDefault(key => !_read.Contains(key)) is { } unknown) throw new InvalidDataException($"{name}: the tensor '{unknown}' does not belong to any of the hooks.");
    }

    private void ReadMoments(StatisticsHeader header, ActivationStatistics statistics, double[] mean)
    {
        ChannelMoments moments = statistics.Moments;
        double[] deviations = Take<double>(header, "squared_deviations", TensorDataType.Float64, header.Shape);
        float[] min = Take<float>(header, "min", TensorDataType.Float32, header.Shape), max = Take<float>(header, "max", TensorDataType.Float32, header.Shape);
        int[] zeros = Take<int>(header, "zeros", TensorDataType.Int32, header.Shape);
        for (int c = 0; c < statistics.Channels; c++)
        {
            bool isLawful = header.Count == 0
                ? mean[c] == 0 && deviations[c] == 0 && float.IsPositiveInfinity(min[c]) && float.IsNegativeInfinity(max[c]) && zeros[c] == 0
                : float.IsFinite(min[c]) && float.IsFinite(max[c]) && min[c] <= max[c]
                    && IsWithin(mean[c], min[c], max[c]) && double.IsFinite(deviations[c]) && deviations[c] >= 0 && zeros[c] >= 0 && zeros[c] <= header.Count;
            if (!isLawful)
            {
                throw Bad(header, "mean", $"channel {c} has the mean {mean[c]}, squared deviations {deviations[c]}, values from {min[c]} to {max[c]}, {zeros[c]} of them zero, of {header.Count} tokens");
            }
        }

        mean.CopyTo(moments.Mean, 0);
        deviations.CopyTo(moments.SquaredDeviations, 0);
        min.CopyTo(moments.Min, 0);
        max.CopyTo(moments.Max, 0);
        for (int c = 0; c < zeros.Length; c++) moments.Zeros[c] = zeros[c];
    }

    private void ReadNorm(StatisticsHeader header, ActivationStatistics statistics)
    {
        double[] norm = Take<double>(header, "norm", TensorDataType.Float64, [4]);
        bool isLawful = header.Count == 0
            ? norm[0] == 0 && norm[1] == 0 && double.IsPositiveInfinity(norm[2]) && double.IsNegativeInfinity(norm[3])
            : norm.All(double.IsFinite) && norm[2] >= 0 && norm[2] <= norm[3] && IsWithin(norm[0], norm[2], norm[3]) && norm[1] >= 0;
        if (!isLawful) throw Bad(header, "norm", $"mean, squared deviations, minimum and maximum are {string.Join(", ", norm)} of {header.Count} tokens");
        (statistics.Norms.Mean, statistics.Norms.SquaredDeviations, statistics.Norms.Min, statistics.Norms.Max) = (norm[0], norm[1], norm[2], norm[3]);
    }

    private void ReadExtremes(StatisticsHeader header, string side, ActivationStatistics statistics, ExtremeTokens? extremes, int most)
    {
        if (extremes is null) return;
        int k = (int)Math.Min(most, header.Count);
        long[] shape = [statistics.Channels, k];
        float[] values = Take<float>(header, $"{side}.values", TensorDataType.Float32, shape);
        long[] documents = Take<long>(header, $"{side}.documents", TensorDataType.Int64, shape);
        int[] positions = Take<int>(header, $"{side}.positions", TensorDataType.Int32, shape), tokens = Take<int>(header, $"{side}.tokens", TensorDataType.Int32, shape);
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]) || !extremes.TryAppend(i / k, new ActivatingToken(values[i], new TokenOrigin(documents[i], positions[i], tokens[i]))))
            {
                throw Bad(header, $"{side}.values", $"token {i % k} of channel {i / k} has the value {values[i]}, which is not finite or out of order");
            }
        }
    }

    private void ReadProducts(StatisticsHeader header, ActivationStatistics statistics, CovarianceMoments products)
    {
        double[] values = Take<double>(header, "products", TensorDataType.Float64, [statistics.Channels, statistics.Channels]);
        int bad = Array.FindIndex(values, value => !double.IsFinite(value));
        if (bad >= 0) throw Bad(header, "products", $"element {bad} is {values[bad]}");
        values.CopyTo(products.Products, 0);
        statistics.Moments.Mean.AsSpan(0, statistics.Channels).CopyTo(products.Mean);
    }

    private void ReadSketches(StatisticsHeader header, ActivationStatistics statistics)
    {
        long[] offsets = Take<long>(header, "quantiles.offsets", TensorDataType.Int64, [statistics.Channels + 2]);
        long buckets = Tensor(header, "quantiles.codes").ElementCount;
        int[] codes = Take<int>(header, "quantiles.codes", TensorDataType.Int32, [buckets]), counts = Take<int>(header, "quantiles.counts", TensorDataType.Int32, [buckets]);
        if (offsets[0] != 0 || offsets[^1] != buckets) throw Bad(header, "quantiles.offsets", $"they go from {offsets[0]} to {offsets[^1]}, not from 0 to {buckets}");
        for (int c = 0; c <= statistics.Channels; c++)
        {
            if (offsets[c + 1] < offsets[c] || offsets[c + 1] > buckets) throw Bad(header, "quantiles.offsets", $"{offsets[c + 1]} follows {offsets[c]}");
            QuantileSketch sketch = c < statistics.Channels ? statistics.Sketches[c] : statistics.Norms.Sketch!;
            long total = 0;
            int previous = -1;
            for (int i = (int)offsets[c]; i < offsets[c + 1]; i++)
            {
                if (codes[i] <= previous || counts[i] <= 0 || !sketch.TrySet(codes[i], counts[i]))
                {
                    throw Bad(header, "quantiles.codes", $"element {i} is {codes[i]} after {previous}, with the count {counts[i]}");
                }

                previous = codes[i];
                total += counts[i];
            }

            reserve?.Invoke(sketch.SizeBytes);
            _sizeBytes += sketch.SizeBytes;
            if (_sizeBytes > maxSizeBytes) throw Bad(header, "quantiles.codes", $"all quantiles would take more than {maxSizeBytes} bytes of memory");
            if (total != header.Count) throw Bad(header, "quantiles.counts", $"those of channel {c} sum to {total}, not to {header.Count} tokens");
        }
    }

    private HostTensor Tensor(StatisticsHeader header, string part)
    {
        string key = $"{header.Hook}.{part}";
        _read.Add(key);
        return file.Tensors.GetValueOrDefault(key) ?? throw new InvalidDataException($"{name}: the tensor '{key}' is missing.");
    }

    private T[] Take<T>(StatisticsHeader header, string part, TensorDataType type, long[] shape)
        where T : struct
    {
        HostTensor tensor = Tensor(header, part);
        if (tensor.DataType != type || !tensor.Shape.AsSpan().SequenceEqual(shape)) throw Bad(header, part, $"it is {tensor}, not {type} {TensorShape.Format(shape)}");
        return MemoryMarshal.Cast<byte, T>(tensor.Data.Span).ToArray();
    }

    /// <summary>Up to the rounding of a mean of equal values.</summary>
    private static bool IsWithin(double mean, double min, double max)
    {
        double slack = 1e-9 * (Math.Abs(min) + Math.Abs(max));
        return mean >= min - slack && mean <= max + slack;
    }

    private InvalidDataException Bad(StatisticsHeader header, string part, string reason) => new($"{name}: the tensor '{header.Hook}.{part}' is malformed: {reason}.");
}
