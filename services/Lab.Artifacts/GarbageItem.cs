namespace Lab.Artifacts;

/// <summary>Something in the store that could be deleted without loss of a named artifact or of what it was made from.</summary>
/// <param name="Path">Absolute path of the file or folder.</param>
/// <param name="SizeBytes">Bytes that its deletion would free; for an unreachable artifact, those of the files that no reachable one shares.</param>
/// <param name="Kind">Why it is garbage.</param>
public sealed record GarbageItem(string Path, long SizeBytes, GarbageKind Kind);
