namespace Lab.CircuitAnalysis.Tasks;

/// <summary>Which words, calls and lines of context prompts are drawn from; no two splits share any.</summary>
internal enum PromptSplit
{
    /// <summary>For learning masks.</summary>
    Train,

    /// <summary>For the bisection and what is reported.</summary>
    HeldOut,

    /// <summary>For a last check that nothing was fitted to.</summary>
    Test,
}
