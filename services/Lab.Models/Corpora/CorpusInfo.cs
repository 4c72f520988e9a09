using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lab.Models.Corpora;

/// <summary>What corpus.json says of the token files beside it.</summary>
public sealed record CorpusInfo
{
    /// <summary>The name of this file in a corpus.</summary>
    public const string FileName = "corpus.json";

    /// <summary>The layout's version; 1.</summary>
    public int Format { get; init; } = 1;

    /// <summary>How one token id is stored in train.bin and held_out.bin, little-endian: "uint16" or "int32".</summary>
    public required string TokenType { get; init; }

    /// <summary>Tokens in the vocabulary; every stored id is below it.</summary>
    public required int VocabSize { get; init; }

    /// <summary>The id that ends each document.</summary>
    public required int EndOfText { get; init; }

    /// <summary>Tokens in train.bin, end-of-text tokens included.</summary>
    public required long TrainTokens { get; init; }

    /// <summary>Tokens in held_out.bin, end-of-text tokens included.</summary>
    public required long HeldOutTokens { get; init; }

    /// <summary>What the text is: "folder", "python_standard_library", "generated", "idioms", "mix" or "dialogue".</summary>
    public string Source { get; init; } = "";

    /// <summary>Distinct documents.</summary>
    public long Files { get; init; }

    /// <summary>Files left out because they are binary, not UTF-8 or cannot be read.</summary>
    public long FilesSkipped { get; init; }

    /// <summary>Files left out because their text is that of an earlier one.</summary>
    public long FilesDuplicate { get; init; }

    /// <summary>Bytes of text, as UTF-8, of all distinct documents.</summary>
    public long Bytes { get; init; }

    internal static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NewLine = "\n",
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    };
}
