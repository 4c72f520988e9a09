namespace Lab.ModelHost.Passes;

/// <summary>Which logits a run sends.</summary>
internal enum LogitsSelection
{
    None,

    /// <summary>Of each row's last token: [batch, d_vocab].</summary>
    Last,

    /// <summary>Of every position: [batch, pos, d_vocab].</summary>
    All,
}
