using static TorchSharp.torch;

namespace Lab.Models.Checkpoints;

/// <summary>
/// Where the weights of a model come from: the tensors of one or several files, listed without being read. Thread-safe, but for
/// disposal; disposing it closes the files, and leaves what was loaded as it is.
/// </summary>
public interface ICheckpoint : IDisposable
{
    /// <summary>The path of the file that names all tensors: a .safetensors, .safetensors.index.json or .pt file.</summary>
    string Path { get; }

    /// <summary>The tensors by name, in no particular order.</summary>
    IReadOnlyDictionary<string, CheckpointTensor> Tensors { get; }

    /// <summary>
    /// Makes a tensor. One that stays on the CPU in the file's own type shares the file's pages copy-on-write, any other is one
    /// copy; see <see cref="Lab.Tensors.TensorFile"/> for how, and for what may be done to the files meanwhile.
    /// </summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="type">
    /// The wanted type; that of the file by default. F64, F32, F16 and BF16 are converted into each other; I64, I32, I16, I8 and U8
    /// load as what they are; the other types do not load.
    /// </param>
    /// <param name="device">Where the tensor lives; the CPU by default.</param>
    /// <returns>
    /// The tensor. It belongs to no dispose scope but to the caller, needs no gradient, and outlives this object. One from
    /// safetensors is contiguous, one from a .pt file has the strides that it was saved with.
    /// </returns>
    /// <exception cref="KeyNotFoundException">There is no such tensor. Names it and the file.</exception>
    /// <exception cref="InvalidDataException">It cannot be loaded as the wanted type, or its file was cut short meanwhile. Names file, tensor and types.</exception>
    /// <exception cref="ObjectDisposedException">This object was disposed.</exception>
    Tensor Load(string name, ScalarType? type = null, Device? device = null);
}
