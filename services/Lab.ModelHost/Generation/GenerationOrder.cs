using Lab.Models.Interventions;

namespace Lab.ModelHost.Generation;

/// <summary>What a generation is asked for, its prompt checked.</summary>
/// <param name="Prompt">One row.</param>
/// <param name="MaxNewTokens">At least 1; with the prompt at most n_ctx.</param>
/// <param name="Temperature">At least 0; 0 picks the most likely token.</param>
/// <param name="TopK">At least 0; 0 for all.</param>
/// <param name="Seed">Seeds the sampling.</param>
/// <param name="Interventions">Applied at every step.</param>
/// <param name="StopTokens">Each of these ends the generation.</param>
internal sealed record GenerationOrder(
    int[] Prompt, int MaxNewTokens, float Temperature, int TopK, long Seed, IReadOnlyList<Intervention> Interventions, IReadOnlySet<int> StopTokens);

/// <summary>A new token.</summary>
/// <param name="Step">Its number, from 0.</param>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">Natural, under the untempered model.</param>
internal readonly record struct GeneratedToken(int Step, int Id, float LogProbability);
