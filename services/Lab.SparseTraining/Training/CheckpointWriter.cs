using Lab.Tensors;

namespace Lab.SparseTraining.Training;

/// <summary>Writes tensors and strings to a safetensors file, atomically.</summary>
internal delegate void CheckpointWriter(string path, IEnumerable<HostTensor> tensors, IReadOnlyDictionary<string, string>? metadata);
