namespace Lab.Models.Batching;

/// <summary>Every member of a pass has ended: there is nothing to go on for.</summary>
internal sealed class EmptyPassException() : Exception("Every member of the pass has ended.");
