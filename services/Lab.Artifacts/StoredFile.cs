namespace Lab.Artifacts;

/// <summary>One file of an artifact.</summary>
/// <param name="Path">Path inside the artifact, relative, with forward slashes.</param>
/// <param name="Digest">"sha256:" and 64 hexadecimal digits over the bytes.</param>
/// <param name="SizeBytes">Size in bytes.</param>
public sealed record StoredFile(string Path, string Digest, long SizeBytes);
