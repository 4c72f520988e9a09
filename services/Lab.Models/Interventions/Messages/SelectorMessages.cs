using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.Models.Interventions.Messages;

/// <summary>Selectors that came as messages. What is wrong is an <see cref="ArgumentException"/> whose ParamName is the field's path.</summary>
public static class SelectorMessages
{
    /// <summary>The most selectors, interventions or weight edits of one request.</summary>
    private const int MaxCount = 4096;

    /// <summary>Several selectors, at most 4096.</summary>
    /// <param name="selectors">The messages.</param>
    /// <param name="field">The path of the list, for errors.</param>
    public static IReadOnlyList<ActivationSelector> ToCore(this IReadOnlyCollection<Proto.Selector> selectors, string field)
    {
        RequireCount(selectors.Count, field);
        return [.. selectors.Select((selector, i) => ToCore(selector, $"{field}[{i}]"))];
    }

    /// <summary>One selector.</summary>
    /// <param name="selector">The message.</param>
    /// <param name="field">Its path, for errors.</param>
    public static ActivationSelector ToCore(this Proto.Selector selector, string field) => new(selector.Hook)
    {
        Hooks = [.. selector.Hooks],
        Layers = selector.Layers is { } layers ? ToCore(layers) : null,
        Rows = [.. selector.Rows],
        Positions = [.. selector.Positions],
        PositionRanges = [.. selector.PositionRanges.Select(ToCore)],
        TokenIds = [.. selector.TokenIds],
        Texts = [.. selector.Texts.Select(ToCore)],
        From = selector.From?.StartCase switch
        {
            null or Proto.Start.StartOneofCase.Text => null,
            Proto.Start.StartOneofCase.Position => selector.From.Position,
            _ => throw new ArgumentException("A position or a text is required.", $"{field}.from"),
        },
        FromText = selector.From?.Text is { } text ? ToCore(text) : null,
        Heads = [.. selector.Heads],
        Channels = [.. selector.Channels],
        Phase = selector.Phase switch
        {
            Proto.Phase.Unspecified or Proto.Phase.Both => GenerationPhase.Both,
            Proto.Phase.Prefill => GenerationPhase.Prefill,
            Proto.Phase.Decode => GenerationPhase.Decode,
            _ => throw new ArgumentException($"{(int)selector.Phase} is no phase.", $"{field}.phase"),
        },
        Steps = selector.Steps is { } steps ? ToCore(steps) : null,
    };

    /// <summary>Requires that a list is not too long.</summary>
    internal static void RequireCount(int count, string field)
    {
        if (count > MaxCount) throw new ArgumentException($"There are {count}; the most is {MaxCount}.", field);
    }

    private static IndexRange ToCore(Proto.IndexRange range) => new(range.First, range.HasLast ? range.Last : null);

    private static TextMatch ToCore(Proto.TextSpan span) => new(span.Text, span.HasOccurrence ? span.Occurrence : null);
}
