namespace Lab.Models.Tasks;

/// <summary>The two prompts of a pair as tokens.</summary>
/// <param name="A">The first prompt.</param>
/// <param name="B">The second prompt.</param>
public sealed record TokenizedPair(TokenizedPrompt A, TokenizedPrompt B);
