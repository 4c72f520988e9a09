using Lab.ModelHost.Scheduling;
using Lab.Models.Interventions;
using Lab.Models.Statistics;

namespace Lab.ModelHost.Statistics;

/// <summary>What is to be measured.</summary>
/// <param name="Selectors">Of which activations.</param>
/// <param name="Interventions">Applied to every batch.</param>
/// <param name="Edits">Weight edits, applied to every batch.</param>
/// <param name="Options">What is kept of them.</param>
/// <param name="Filter">Which tokens do not count.</param>
/// <param name="Report">What is told of it.</param>
/// <param name="MaxBytes">The most bytes of results.</param>
/// <param name="MaxTokens">The most tokens to process.</param>
/// <param name="MaxTime">The most time on the model's thread; zero for no limit.</param>
/// <param name="Priority">When each batch gets its turn.</param>
/// <param name="Identity">What statistics must have in common to be merged: what decides which numbers are measured.</param>
internal sealed record StatisticsOrder(
    IReadOnlyList<ActivationSelector> Selectors,
    IReadOnlyList<Intervention> Interventions,
    IReadOnlyList<WeightEdit> Edits,
    StatisticsOptions Options,
    TokenFilter Filter,
    StatisticsReport Report,
    long MaxBytes,
    long MaxTokens,
    TimeSpan MaxTime,
    WorkPriority Priority,
    IReadOnlyDictionary<string, string> Identity);
