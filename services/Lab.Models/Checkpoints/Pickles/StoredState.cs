using Lab.Tensors;

namespace Lab.Models.Checkpoints.Pickles;

/// <summary>A tensor of a state dictionary, and the storage that holds its elements.</summary>
/// <param name="Name">The key.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Shape">The dimensions, outermost first; elements are contiguous.</param>
/// <param name="Storage">The storage's key.</param>
internal sealed record StoredState(string Name, StoredDataType Type, long[] Shape, string Storage);
