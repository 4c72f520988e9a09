namespace Lab.Models.Tokenizers;

/// <summary>How a text is turned into tokens.</summary>
public sealed record EncodeOptions
{
    /// <summary>The default: the tokenizer's own rule for BOS, and special tokens not parsed.</summary>
    public static EncodeOptions Default { get; } = new();

    /// <summary>Whether BOS is added. A text that begins with BOS as a parsed special token gets no second one.</summary>
    public BosPolicy Bos { get; init; } = BosPolicy.Default;

    /// <summary>
    /// Whether special tokens that are written in the text (<c>&lt;|im_start|&gt;</c>) become those tokens. False, the default,
    /// makes plain text of them. Added tokens that are not special (<c>&lt;tool_call&gt;</c>) are always recognised.
    /// </summary>
    public bool ParseSpecial { get; init; }

    /// <summary>Whether the text follows other tokens: then nothing is added that belongs to the start of a sequence only.</summary>
    public bool ContinuesSequence { get; init; }
}
