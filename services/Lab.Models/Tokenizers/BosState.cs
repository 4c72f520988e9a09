namespace Lab.Models.Tokenizers;

/// <summary>How an encoded text came by its beginning-of-sequence token.</summary>
public enum BosState
{
    /// <summary>It has none at its start.</summary>
    Absent,

    /// <summary>The tokenizer added it; its span is empty.</summary>
    Added,

    /// <summary>The text itself begins with it, parsed as a special token; none was added before it.</summary>
    InText,
}
