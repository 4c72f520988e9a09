namespace Lab.ModelHost.Generation;

/// <summary>A new token.</summary>
/// <param name="Step">Its number, from 0.</param>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">Natural, under the untempered model.</param>
/// <param name="Text">The text that it adds.</param>
/// <param name="Top">The most likely tokens, the likeliest first.</param>
internal sealed record GeneratedToken(int Step, int Id, float LogProbability, string Text, IReadOnlyList<(int Id, float LogProbability)> Top);
