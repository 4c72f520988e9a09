namespace Lab.Models.Checkpoints.Pickles;

/// <summary>A stored file in a zip.</summary>
/// <param name="Name">Its path in the zip.</param>
/// <param name="Offset">Where its bytes begin, from the start of the zip.</param>
/// <param name="Length">How many bytes it has.</param>
internal sealed record ZipEntry(string Name, long Offset, long Length);
