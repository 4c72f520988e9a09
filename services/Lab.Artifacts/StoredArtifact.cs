namespace Lab.Artifacts;

/// <summary>An artifact as it lies in the store: an immutable set of files and the record of what made them.</summary>
/// <param name="Digest">"sha256:" and 64 hexadecimal digits over kind and files; provenance does not enter it.</param>
/// <param name="Kind">What it is: "corpus", "model", "bridge", "circuit", "report" and so on.</param>
/// <param name="Files">The files, by path in ascending ordinal order.</param>
/// <param name="CreateTime">When content of this digest was first stored, UTC.</param>
/// <param name="Provenance">What made it first.</param>
/// <param name="Names">The names that pointed at it when it was read, in ordinal order.</param>
public sealed record StoredArtifact(
    string Digest,
    string Kind,
    IReadOnlyList<StoredFile> Files,
    DateTimeOffset CreateTime,
    ArtifactProvenance Provenance,
    IReadOnlyList<string> Names);
