using Lab.Tensors;

namespace Lab.Models.Checkpoints;

/// <summary>One tensor of a checkpoint, before it is loaded.</summary>
/// <param name="Name">The tensor's key in the checkpoint.</param>
/// <param name="Type">The type of the elements; its <see cref="StoredDataType.Code"/> is the text, such as <c>BF16</c>, whatever kind of file it is.</param>
/// <param name="Shape">The dimensions, outermost first; empty for a scalar.</param>
/// <param name="ByteCount">The bytes of its elements: the product of <paramref name="Shape"/> times the element size.</param>
/// <param name="File">The path of the file that it lies in.</param>
/// <param name="Offset">
/// Where its first element begins, in bytes from the start of the file. Tensors of one file and offset are tied: they have the same
/// elements, and share memory where they share the file's pages.
/// </param>
public sealed record CheckpointTensor(string Name, StoredDataType Type, IReadOnlyList<long> Shape, long ByteCount, string File, long Offset);
