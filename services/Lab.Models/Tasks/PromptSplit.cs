namespace Lab.Models.Tasks;

/// <summary>
/// What prompts are drawn from. No two splits share a word of a phrase, a call or a line of context; held-out templates are in no generated
/// corpus.
/// </summary>
public enum PromptSplit
{
    /// <summary>The templates that generated corpora are made of. For learning masks.</summary>
    Train,

    /// <summary>Held-out templates. For accuracy, for choosing among circuits, and what is reported.</summary>
    HeldOut,

    /// <summary>Held-out templates with other words. For a last check that nothing was fitted to.</summary>
    Test,
}
