using Lab.Tensors;

namespace Lab.ModelHost.Residents;

/// <summary>Where a model comes from.</summary>
/// <param name="Name">The name that it is resident under.</param>
/// <param name="Version">What its files are: the artifact's digest, or for a folder a mark that changes when a file does.</param>
/// <param name="Folder">The folder, absolute; null for an artifact.</param>
/// <param name="Type">The type of the weights in memory; null for FP32.</param>
internal sealed record ModelSource(string Name, string Version, string? Folder = null, TensorDataType? Type = null);

/// <summary>What a caller wants to be loaded.</summary>
/// <param name="Name">An artifact's name or digest; for a folder the name to give it.</param>
/// <param name="Folder">The folder as the caller named it; null for an artifact, or for a folder that the name stands for already.</param>
/// <param name="Type">The type of the weights in memory; null for FP32, or as they are if the model is resident.</param>
/// <param name="IsPinned">Whether it stays when memory is needed; null for no change.</param>
internal sealed record LoadOrder(string Name, string? Folder = null, TensorDataType? Type = null, bool? IsPinned = null);
