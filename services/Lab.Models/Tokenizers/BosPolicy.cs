namespace Lab.Models.Tokenizers;

/// <summary>Whether the beginning-of-sequence token comes before a text.</summary>
public enum BosPolicy
{
    /// <summary>As the tokenizer's files say: <c>add_bos_token</c> of tokenizer_config.json, else the post-processor of tokenizer.json, else not.</summary>
    Default,

    /// <summary>It does. An error for a tokenizer that has no such token.</summary>
    Always,

    /// <summary>None is added.</summary>
    Never,
}
