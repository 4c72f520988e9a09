namespace Lab.CircuitAnalysis.Tasks;

/// <summary>Two prompts of equal token length that differ in what they ask for: each one's answer is the other's wrong answer.</summary>
/// <param name="PositiveText">The first prompt.</param>
/// <param name="NegativeText">The second prompt.</param>
/// <param name="PositiveTokens">The tokens of the first prompt.</param>
/// <param name="NegativeTokens">The tokens of the second prompt.</param>
/// <param name="PositiveAnswer">The token that rightly follows the first prompt.</param>
/// <param name="NegativeAnswer">The token that rightly follows the second prompt.</param>
internal sealed record PromptPair(
    string PositiveText, string NegativeText, int[] PositiveTokens, int[] NegativeTokens, int PositiveAnswer, int NegativeAnswer);
