namespace Lab.Artifacts;

/// <summary>Why something in the store is garbage.</summary>
public enum GarbageKind
{
    /// <summary>What a process left that ended in the middle of a write.</summary>
    BrokenWrite,

    /// <summary>A file that belongs to no artifact.</summary>
    UnreferencedBlob,

    /// <summary>The manifest of an artifact that no name reaches, neither itself nor as an input.</summary>
    UnreachableArtifact,
}
