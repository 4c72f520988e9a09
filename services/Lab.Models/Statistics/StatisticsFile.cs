using System.Runtime.InteropServices;
using System.Text.Json;
using Lab.Tensors;

namespace Lab.Models.Statistics;

/// <summary>
/// Statistics of some hooks as the bytes of a safetensors file, from which they can go on: nothing is rounded. Equal statistics give
/// equal bytes. For each hook, under its name and a dot (count: the number of tokens; all sums of deviations are from the mean):
/// <list type="bullet">
/// <item>mean, squared_deviations: F64; min, max: F32; zeros: I32. Of the hook's shape.</item>
/// <item>norm: F64 [4]: mean, squared deviations, minimum and maximum of the tokens' norms.</item>
/// <item>top.values: F32, top.documents: I64, top.positions, top.tokens: I32 [channels, k], and the same of bottom.</item>
/// <item>quantiles.codes, quantiles.counts: I32 [buckets], those of channel c from quantiles.offsets[c], I64 [channels + 2], on; the norm's last.
/// A code is the upper bits of the float: 9 for sign and exponent, m of the mantissa.</item>
/// <item>products: F64 [channels, channels]: sums of products of deviations.</item>
/// </list>
/// The metadata has format, version and hooks, a JSON array with counts and options of each.
/// </summary>
/// <param name="Statistics">One for each hook.</param>
/// <param name="Metadata">What else is to be known of them, such as the model. Not "format", "version" or "hooks".</param>
public sealed record StatisticsFile(IReadOnlyList<ActivationStatistics> Statistics, IReadOnlyDictionary<string, string> Metadata)
{
    internal const string Format = "lab.activation_statistics", Version = "1";

    // Some hundred bytes a tensor, and what the metadata says of each hook.
    private const int MaxHeaderBytes = 16 << 20;

    private static readonly string[] Reserved = ["format", "version", "hooks"];

    /// <summary>Writes them.</summary>
    /// <exception cref="ArgumentException">Two are of one hook, or the metadata has a reserved key.</exception>
    public byte[] ToBytes()
    {
        Dictionary<string, string> metadata = new(Metadata);
        if (Reserved.FirstOrDefault(metadata.ContainsKey) is { } key) throw new ArgumentException($"The key '{key}' is reserved.", "metadata");
        metadata.Add("format", Format);
        metadata.Add("version", Version);
        metadata.Add("hooks", JsonSerializer.Serialize(Statistics.Select(StatisticsHeader.Of).OrderBy(header => header.Hook, StringComparer.Ordinal), StatisticsHeader.Json));
        return SafetensorsWriter.ToBytes(Statistics.SelectMany(Tensors), metadata);
    }

    /// <summary>Reads and checks them.</summary>
    /// <param name="bytes">What <see cref="ToBytes"/> gave.</param>
    /// <param name="name">What it is, for errors: "state".</param>
    /// <param name="maxSizeBytes">The most memory that quantiles may take: buckets take up to 32 times their bytes here.</param>
    /// <param name="reserve">Gets the bytes of memory that are about to be taken, again and again; what it throws passes through.</param>
    /// <exception cref="InvalidDataException">They are malformed. Names <paramref name="name"/> and the tensor or the field.</exception>
    public static StatisticsFile Read(ReadOnlyMemory<byte> bytes, string name = "state", long maxSizeBytes = long.MaxValue, Action<long>? reserve = null)
    {
        SafetensorsBytes file = SafetensorsBytes.Read(bytes, name, MaxHeaderBytes);
        if (file.Metadata.GetValueOrDefault("format") != Format) throw new InvalidDataException($"{name}: the metadata's format is not {Format}.");
        if (file.Metadata.GetValueOrDefault("version") != Version) throw new InvalidDataException($"{name}: the metadata's version is not {Version}, which is the one that is known.");
        IReadOnlyList<StatisticsHeader> headers = StatisticsHeader.Read(file.Metadata.GetValueOrDefault("hooks"), name);
        StatisticsReader reader = new(file, name, maxSizeBytes, reserve);
        ActivationStatistics[] statistics = [.. headers.Select(reader.Read)];
        reader.RequireNoMore();
        return new StatisticsFile(statistics, file.Metadata.Where(item => !Reserved.Contains(item.Key)).ToDictionary());
    }

    private static IEnumerable<HostTensor> Tensors(ActivationStatistics statistics)
    {
        long[] shape = [.. statistics.Shape];
        int channels = statistics.Channels;
        ChannelMoments moments = statistics.Moments;
        HostTensor Of<T>(string name, TensorDataType type, ReadOnlySpan<T> values, params long[] dimensions)
            where T : struct => new($"{statistics.Hook}.{name}", type, dimensions, MemoryMarshal.AsBytes(values).ToArray());

        yield return Of<double>("mean", TensorDataType.Float64, moments.Mean.AsSpan(0, channels), shape);
        yield return Of<double>("squared_deviations", TensorDataType.Float64, moments.SquaredDeviations.AsSpan(0, channels), shape);
        yield return Of<float>("min", TensorDataType.Float32, moments.Min.AsSpan(0, channels), shape);
        yield return Of<float>("max", TensorDataType.Float32, moments.Max.AsSpan(0, channels), shape);
        yield return Of<int>("zeros", TensorDataType.Int32, [.. moments.Zeros.Take(channels).Select(count => (int)count)], shape);
        NormMoments norms = statistics.Norms;
        yield return Of<double>("norm", TensorDataType.Float64, [norms.Mean, norms.SquaredDeviations, norms.Min, norms.Max], 4);
        if (statistics.Products is { } products) yield return Of<double>("products", TensorDataType.Float64, products.Products, channels, channels);
        foreach ((string side, ExtremeTokens? extremes) in new[] { ("top", statistics.Largest), ("bottom", statistics.Smallest) })
        {
            if (extremes is null) continue;
            ActivatingToken[] tokens = [.. Enumerable.Range(0, channels).SelectMany(extremes.Of)];
            int k = tokens.Length / channels;
            yield return Of<float>($"{side}.values", TensorDataType.Float32, [.. tokens.Select(token => token.Value)], channels, k);
            yield return Of<long>($"{side}.documents", TensorDataType.Int64, [.. tokens.Select(token => token.Origin.Document)], channels, k);
            yield return Of<int>($"{side}.positions", TensorDataType.Int32, [.. tokens.Select(token => token.Origin.Position)], channels, k);
            yield return Of<int>($"{side}.tokens", TensorDataType.Int32, [.. tokens.Select(token => token.Origin.TokenId)], channels, k);
        }

        if (norms.Sketch is not { } sketch) yield break;
        List<int> codes = [], counts = [];
        List<long> offsets = [0];
        foreach (QuantileSketch one in statistics.Sketches.Append(sketch))
        {
            one.CopyTo(codes, counts);
            offsets.Add(codes.Count);
        }

        yield return Of<long>("quantiles.offsets", TensorDataType.Int64, CollectionsMarshal.AsSpan(offsets), offsets.Count);
        yield return Of<int>("quantiles.codes", TensorDataType.Int32, CollectionsMarshal.AsSpan(codes), codes.Count);
        yield return Of<int>("quantiles.counts", TensorDataType.Int32, CollectionsMarshal.AsSpan(counts), counts.Count);
    }
}
