namespace Lab.Models.Interventions;

/// <summary>A substring of a row's text.</summary>
/// <param name="Text">The substring; not empty.</param>
/// <param name="Occurrence">Which occurrence, from 0 and without overlaps; negative ones count from the last. Null for every one.</param>
public sealed record TextMatch(string Text, int? Occurrence = null);
