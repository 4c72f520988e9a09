using System.Runtime.InteropServices;
using Lab.Models.Statistics;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Statistics;

/// <summary>Statistics as tensors.</summary>
internal static class StatisticsTensors
{
    /// <summary>The bytes of the tensors of so many channels; at most.</summary>
    public static Int128 SizeBytes(long channels, StatisticsOrder order) => order.Report.Statistics.Aggregate((Int128)0, (sum, statistic) => sum + (statistic switch
    {
        Statistic.Mean or Statistic.Variance or Statistic.Nonzero or Statistic.Range => 8 * channels,
        Statistic.Norm => 32,
        Statistic.Quantiles => 4 * (Int128)(channels + 1) * order.Report.Quantiles.Count,
        Statistic.TopTokens => 28 * (Int128)channels * order.Options.TopCount,
        Statistic.BottomTokens => 28 * (Int128)channels * order.Options.BottomCount,
        Statistic.Covariance => 8 * (Int128)channels * channels,
        _ => 0,
    }));

    /// <summary>The tensors that a report has of one hook, named "hook/statistic".</summary>
    public static IEnumerable<HostTensor> Of(ActivationStatistics statistics, StatisticsReport report)
    {
        long[] shape = [.. statistics.Shape];
        int channels = statistics.Channels;
        HostTensor Doubles(string name, double[] values, params long[] dimensions) => Tensor(name, TensorDataType.Float64, MemoryMarshal.AsBytes(values.AsSpan()), dimensions);
        HostTensor Floats(string name, float[] values, params long[] dimensions) => Tensor(name, TensorDataType.Float32, MemoryMarshal.AsBytes(values.AsSpan()), dimensions);
        HostTensor Tensor(string name, TensorDataType type, ReadOnlySpan<byte> bytes, long[] dimensions) => new($"{statistics.Hook}/{name}", type, dimensions, bytes.ToArray());

        IEnumerable<HostTensor> Tokens(string name, Func<int, IReadOnlyList<ActivatingToken>> of)
        {
            ActivatingToken[] tokens = [.. Enumerable.Range(0, channels).SelectMany(of)];
            long k = tokens.Length / channels;
            yield return Floats($"{name}_values", [.. tokens.Select(token => token.Value)], [.. shape, k]);
            long[] places = [.. tokens.SelectMany(token => new[] { token.Origin.Document, token.Origin.Position, token.Origin.TokenId })];
            yield return Tensor($"{name}_tokens", TensorDataType.Int64, MemoryMarshal.AsBytes(places.AsSpan()), [.. shape, k, 3]);
        }

        foreach (Statistic statistic in report.Statistics.Order())
        {
            IEnumerable<HostTensor> tensors = statistic switch
            {
                Statistic.Mean => [Doubles("mean", statistics.Mean(), shape)],
                Statistic.Variance => [Doubles("variance", statistics.Variance(), shape)],
                Statistic.Norm => [Doubles("norm", [statistics.NormMean(), Math.Sqrt(statistics.NormVariance()), statistics.NormMin(), statistics.NormMax()], 4)],
                Statistic.Quantiles =>
                [
                    Floats("quantiles", [.. Enumerable.Range(0, channels).SelectMany(c => statistics.Quantiles(c, report.Quantiles)).Select(q => (float)q)], [.. shape, report.Quantiles.Count]),
                    Floats("norm_quantiles", [.. statistics.NormQuantiles(report.Quantiles).Select(q => (float)q)], report.Quantiles.Count),
                ],
                Statistic.TopTokens => Tokens("top", statistics.Top),
                Statistic.BottomTokens => Tokens("bottom", statistics.Bottom),
                Statistic.Range => [Floats("min", statistics.Min(), shape), Floats("max", statistics.Max(), shape)],
                Statistic.Nonzero => [Doubles("nonzero", statistics.NonzeroFraction(), shape)],
                Statistic.Covariance => [Doubles("covariance", statistics.Covariance()!, channels, channels)],
                _ => throw new ArgumentOutOfRangeException(nameof(report), statistic, "Not a statistic."),
            };
            foreach (HostTensor tensor in tensors) yield return tensor;
        }
    }

    /// <summary>The tensor as FP32; as it is if it is of integers.</summary>
    public static HostTensor ToFloats(this HostTensor tensor)
    {
        if (tensor.DataType != TensorDataType.Float64) return tensor;
        float[] values = Array.ConvertAll(MemoryMarshal.Cast<byte, double>(tensor.Data.Span).ToArray(), value => (float)value);
        return HostTensor.FromFloats(tensor.Name, values, tensor.Shape);
    }
}
