using System.Text.Json;
using Lab.Tensors;

namespace Lab.Models.Statistics;

/// <summary>What the metadata of a file says of one hook.</summary>
internal sealed record StatisticsHeader
{
    /// <summary>Snake case, and nothing left out or unknown.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
    };

    public required string Hook { get; init; }

    public required long[] Shape { get; init; }

    public required long Count { get; init; }

    public required long NonFiniteCount { get; init; }

    /// <summary>Document, position and token.</summary>
    public required long[]? FirstNonFinite { get; init; }

    /// <summary>Document, position and token of the last token.</summary>
    public required long[]? Last { get; init; }

    public required double QuantileError { get; init; }

    public required int TopCount { get; init; }

    public required int BottomCount { get; init; }

    public required bool HasCovariance { get; init; }

    public static StatisticsHeader Of(ActivationStatistics statistics) => new()
    {
        Hook = statistics.Hook,
        Shape = [.. statistics.Shape],
        Count = statistics.Count,
        NonFiniteCount = statistics.NonFiniteCount,
        FirstNonFinite = ToArray(statistics.FirstNonFinite),
        Last = ToArray(statistics.Last),
        QuantileError = statistics.Options.QuantileError,
        TopCount = statistics.Options.TopCount,
        BottomCount = statistics.Options.BottomCount,
        HasCovariance = statistics.Options.HasCovariance,
    };

    /// <exception cref="InvalidDataException">The JSON is malformed, or an element is unlawful.</exception>
    public static IReadOnlyList<StatisticsHeader> Read(string? json, string name)
    {
        StatisticsHeader[] headers;
        try
        {
            headers = JsonSerializer.Deserialize<StatisticsHeader[]>(json ?? "null", Json) ?? throw new InvalidDataException($"{name}: the metadata has no hooks.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{name}: the metadata's hooks are malformed: {e.Message}", e);
        }

        for (int i = 0; i < headers.Length; i++)
        {
            if (headers[i] is not { } header) throw new InvalidDataException($"{name}: hooks[{i}] is null.");
            if (header.Error() is { } error) throw new InvalidDataException($"{name}: hooks[{i}].{error}");
        }

        if (headers.DistinctBy(header => header.Hook).Count() != headers.Length) throw new InvalidDataException($"{name}: hooks: one appears twice.");
        return headers;
    }

    public StatisticsOptions Options() => new() { QuantileError = QuantileError, TopCount = TopCount, BottomCount = BottomCount, HasCovariance = HasCovariance };

    public void Restore(ActivationStatistics statistics) => statistics.Restore(Count, NonFiniteCount, ToOrigin(FirstNonFinite), ToOrigin(Last));

    private string? Error()
    {
        if (Hook.Length == 0) return "hook is empty.";
        if (!TensorShape.TryCount(Shape, 1, out long channels, out string? error)) return $"shape {error}.";
        if (channels is 0 or > ActivationStatistics.MaxChannels) return $"shape has {channels} elements; it must have from 1 to {ActivationStatistics.MaxChannels}.";
        if (Count is < 0 or > ActivationStatistics.MaxTokens) return $"count is {Count}; it must be from 0 to {ActivationStatistics.MaxTokens}.";
        if (NonFiniteCount < 0) return $"non_finite_count is {NonFiniteCount}.";
        if (!IsOrigin(FirstNonFinite, NonFiniteCount > 0)) return "first_non_finite is not a document, a position and a token, or there is none.";
        if (!IsOrigin(Last, Count > 0)) return "last is not a document, a position and a token, or there is none.";
        try
        {
            Options().Require(channels, "options");
            return null;
        }
        catch (ArgumentException e)
        {
            return e.Message;
        }
    }

    private static bool IsOrigin(long[]? origin, bool isRequired) =>
        origin is null ? !isRequired : isRequired && origin is [_, >= int.MinValue and <= int.MaxValue, >= int.MinValue and <= int.MaxValue];

    private static long[]? ToArray(TokenOrigin? origin) => origin is { } one ? [one.Document, one.Position, one.TokenId] : null;

    private static TokenOrigin? ToOrigin(long[]? origin) => origin is null ? null : new TokenOrigin(origin[0], (int)origin[1], (int)origin[2]);
}
