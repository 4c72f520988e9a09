namespace Lab.Models.Tokenizers;

/// <summary>The tokens of a tokenizer that stand for no text. An id is null where the files name no such token.</summary>
public sealed record SpecialTokens
{
    /// <summary>The beginning of a sequence.</summary>
    public int? Bos { get; init; }

    /// <summary>The end of a sequence.</summary>
    public int? Eos { get; init; }

    /// <summary>Padding.</summary>
    public int? Pad { get; init; }

    /// <summary>What stands for text that the vocabulary cannot express.</summary>
    public int? Unknown { get; init; }

    /// <summary>All ids that end a generation: <see cref="Eos"/> and those of generation_config.json, each once.</summary>
    public IReadOnlyList<int> Stops { get; init; } = [];

    /// <summary>Every special token by its text.</summary>
    public IReadOnlyDictionary<string, int> ByText { get; init; } = new Dictionary<string, int>();
}
