namespace Lab.Models.Statistics;

/// <summary>Where a row of a batch comes from.</summary>
/// <param name="Document">The number of its document.</param>
/// <param name="FirstPosition">The position in the document of the row's first token.</param>
public readonly record struct RowOrigin(long Document, int FirstPosition);
