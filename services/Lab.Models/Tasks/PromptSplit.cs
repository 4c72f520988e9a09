namespace Lab.Models.Tasks;

/// <summary>
/// What prompts are drawn from. No two splits share a word of a phrase, a call or a line of context. Generated programs of idioms have the
/// training templates alone, but the words of all splits: what is new in a held-out prompt is its layout. Real Python and other generators
/// may have any layout.
/// </summary>
public enum PromptSplit
{
    /// <summary>The templates that programs of idioms are made of. For learning masks.</summary>
    Train,

    /// <summary>Held-out templates. For accuracy, for choosing among circuits, and what is reported.</summary>
    HeldOut,

    /// <summary>Held-out templates with other words. For a last check that nothing was fitted to.</summary>
    Test,
}
