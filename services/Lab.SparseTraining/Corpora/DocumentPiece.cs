namespace Lab.SparseTraining.Corpora;

/// <summary>A piece of a document.</summary>
/// <param name="Text">Its text.</param>
/// <param name="IsHeldOut">Whether the document is held out.</param>
/// <param name="IsLast">Whether the document ends with it.</param>
internal readonly record struct DocumentPiece(string Text, bool IsHeldOut, bool IsLast);
