namespace Lab.Models.Statistics;

/// <summary>A token that is among those with the largest or the smallest activation of a channel.</summary>
/// <param name="Value">The activation.</param>
/// <param name="Origin">The token.</param>
public readonly record struct ActivatingToken(float Value, TokenOrigin Origin);
