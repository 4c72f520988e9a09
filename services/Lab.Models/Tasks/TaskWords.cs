namespace Lab.Models.Tasks;

/// <summary>The words that templates are filled with. Those of <see cref="Of"/> are common in Python sources, and no two splits share any.</summary>
public sealed record TaskWords
{
    /// <summary>How calls begin whose last argument is a string, up to and without the quote.</summary>
    public required IReadOnlyList<string> Calls { get; init; }

    /// <summary>Statements of one line, without quotes, that are valid anywhere.</summary>
    public required IReadOnlyList<string> Lines { get; init; }

    /// <summary>Lines without quotes that begin an indented block.</summary>
    public required IReadOnlyList<string> Blocks { get; init; }

    /// <summary>Things.</summary>
    public required IReadOnlyList<string> Nouns { get; init; }

    /// <summary>What comes before a thing.</summary>
    public required IReadOnlyList<string> Qualities { get; init; }

    /// <summary>What is done to a thing.</summary>
    public required IReadOnlyList<string> Actions { get; init; }

    /// <summary>What joins a thing and an outcome.</summary>
    public required IReadOnlyList<string> Links { get; init; }

    /// <summary>What became of a thing.</summary>
    public required IReadOnlyList<string> Outcomes { get; init; }

    /// <summary>Every word that may stand in a phrase.</summary>
    public IEnumerable<string> PhraseWords => [.. Nouns, .. Qualities, .. Actions, .. Links, .. Outcomes];

    /// <summary>The words of all splits together.</summary>
    public static TaskWords All { get; } = Union([TaskWordSplits.Train, TaskWordSplits.HeldOut, TaskWordSplits.Test]);

    /// <summary>The words of a split.</summary>
    public static TaskWords Of(PromptSplit split) => split switch
    {
        PromptSplit.Train => TaskWordSplits.Train,
        PromptSplit.HeldOut => TaskWordSplits.HeldOut,
        PromptSplit.Test => TaskWordSplits.Test,
        _ => throw new ArgumentOutOfRangeException(nameof(split), split, "There is no such split."),
    };

    private static TaskWords Union(TaskWords[] splits) => new()
    {
        Calls = [.. splits.SelectMany(words => words.Calls)],
        Lines = [.. splits.SelectMany(words => words.Lines)],
        Blocks = [.. splits.SelectMany(words => words.Blocks)],
        Nouns = [.. splits.SelectMany(words => words.Nouns)],
        Qualities = [.. splits.SelectMany(words => words.Qualities)],
        Actions = [.. splits.SelectMany(words => words.Actions)],
        Links = [.. splits.SelectMany(words => words.Links)],
        Outcomes = [.. splits.SelectMany(words => words.Outcomes)],
    };
}
