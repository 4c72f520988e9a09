namespace Lab.Models.Diffs;

/// <summary>Which logits' differences are told.</summary>
public enum DiffLogits
{
    /// <summary>None.</summary>
    None,

    /// <summary>Of each row's last token: [batch, d_vocab].</summary>
    Last,

    /// <summary>Of every position: [batch, pos, d_vocab].</summary>
    All,
}
