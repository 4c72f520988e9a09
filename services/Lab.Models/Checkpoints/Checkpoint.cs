namespace Lab.Models.Checkpoints;

/// <summary>Opens checkpoints: every header is read and checked in full, no tensor is.</summary>
public static class Checkpoint
{
    /// <summary>The name of a file that holds all weights.</summary>
    public const string SafetensorsFileName = "model.safetensors";

    /// <summary>The name of the file that says which shard holds which weight.</summary>
    public const string IndexFileName = "model.safetensors.index.json";

    /// <summary>The name of openai/circuit_sparsity's weights.</summary>
    public const string PickleFileName = "final_model.pt";

    /// <summary>Opens the weights of a folder: the first that is there of model.safetensors, model.safetensors.index.json and final_model.pt.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="share">
    /// Whether tensors may share the files' pages; true by default. False for files that other programs may write to in place: see <see cref="Lab.Tensors.TensorFile"/>.
    /// </param>
    /// <returns>The open checkpoint; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder has none of them. Names the folder and the three.</exception>
    /// <exception cref="InvalidDataException">A file is malformed or refused. Names the file and the place.</exception>
    public static ICheckpoint Open(string folder, bool share = true)
    {
        string safetensors = Path.Combine(folder, SafetensorsFileName);
        if (File.Exists(safetensors)) return OpenSafetensors(safetensors, share);
        string index = Path.Combine(folder, IndexFileName);
        if (File.Exists(index)) return OpenSafetensors(index, share);
        string pickle = Path.Combine(folder, PickleFileName);
        return File.Exists(pickle)
            ? OpenPickle(pickle, share)
            : throw new FileNotFoundException($"{folder} has no weights: neither {SafetensorsFileName} nor {IndexFileName} nor {PickleFileName}.");
    }

    /// <summary>Opens a .safetensors file, or all shards that an .index.json beside them names.</summary>
    /// <param name="file">The path of either.</param>
    /// <param name="share">Whether tensors may share the files' pages.</param>
    /// <returns>The open checkpoint; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// A file is malformed, or the index and the shards contradict each other: a shard that is not there or not in the index's own
    /// folder, a tensor that is not in its shard, or one of a shard that the index does not place there. Names file and tensor.
    /// </exception>
    public static ICheckpoint OpenSafetensors(string file, bool share = true) =>
        file.EndsWith(".json", StringComparison.Ordinal) ? SafetensorsCheckpoint.OpenIndex(file, share) : SafetensorsCheckpoint.OpenFile(file, share);

    /// <summary>Opens a .pt file of PyTorch 1.6 or later: a zip of a pickle and the storages. Its pickle may build tensors and containers, and nothing else: no code of the file's choosing runs.</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="share">Whether tensors may share the file's pages.</param>
    /// <returns>The open checkpoint; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is malformed, or its pickle holds anything else than tensors, containers and plain values. Names the file and the
    /// byte, opcode or global.
    /// </exception>
    public static ICheckpoint OpenPickle(string file, bool share = true) => PickleCheckpoint.Open(file, share);
}
