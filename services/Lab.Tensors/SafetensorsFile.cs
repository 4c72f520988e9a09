using System.Buffers.Binary;
using TorchSharp;

namespace Lab.Tensors;

/// <summary>
/// A safetensors file (https://github.com/huggingface/safetensors), open for reading: an 8-byte little-endian header length, a
/// JSON header, and the tensors' bytes without gaps. Everything is checked when it is opened. Thread-safe, but for disposal.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>The largest JSON header that is accepted, in bytes: 100 MB, as in the reference implementation.</summary>
    public const long MaxHeaderBytes = 100_000_000;

    private readonly TensorFile _file;

    private SafetensorsFile(TensorFile file, SafetensorsHeader header)
    {
        _file = file;
        Entries = header.Entries;
        Metadata = header.Metadata;
    }

    /// <summary>The file's tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <summary>The strings under the header's <c>__metadata__</c>; empty if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The path that it was opened by.</summary>
    public string Path => _file.Path;

    /// <summary>Opens a file and checks its whole header.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="share">Whether tensors that are loaded may share the file's pages; true by default. See <see cref="TensorFile"/>.</param>
    /// <returns>The open file; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">
    /// The file is malformed: cut short, a header over <see cref="MaxHeaderBytes"/>, bad JSON, a duplicate or unknown key, an
    /// unknown type, a bad shape, offsets that overlap, leave gaps, leave the file or do not fit the shape. Names path and reason.
    /// </exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static SafetensorsFile Open(string path, bool share = true)
    {
        TensorFile file = TensorFile.Open(path, share);
        try
        {
            return new SafetensorsFile(file, SafetensorsHeader.Parse(ReadHeader(file), file.Length, path));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies one tensor into owned host memory.</summary>
    /// <param name="name">The tensor's key.</param>
    /// <returns>The tensor; at most 2 GiB.</returns>
    /// <exception cref="KeyNotFoundException">The file has no such tensor. Names it and the file.</exception>
    /// <exception cref="InvalidDataException">The tensor's type has no counterpart in host memory, or the file was cut short since it was opened.</exception>
    /// <exception cref="NotSupportedException">The tensor is larger than 2 GiB.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public HostTensor Read(string name)
    {
        SafetensorsEntry entry = Find(name);
        if (entry.DataType is not { } type) throw new InvalidDataException($"{Path}: tensor '{name}' is of type {entry.StoredType}, which cannot be read.");
        if (entry.ByteCount > Array.MaxLength)
            throw new NotSupportedException($"Tensor '{name}' of {Path} has {entry.ByteCount} bytes; at most {Array.MaxLength} can be read at once.");

        byte[] data = GC.AllocateUninitializedArray<byte>((int)entry.ByteCount);
        _file.ReadExactly(entry.Offset, data);
        return new HostTensor(name, type, [.. entry.Shape], data);
    }

    /// <summary>Makes a libtorch tensor of one tensor: one that shares the file's pages where it can, else one copy. See <see cref="TensorFile.Load"/>.</summary>
    /// <param name="name">The tensor's key.</param>
    /// <param name="type">The wanted type; that of the file by default.</param>
    /// <param name="device">Where the tensor lives; the CPU by default.</param>
    /// <returns>The contiguous tensor, which belongs to the caller and outlives this file.</returns>
    /// <exception cref="KeyNotFoundException">The file has no such tensor. Names it and the file.</exception>
    /// <exception cref="InvalidDataException">It cannot be loaded as the wanted type, or the file was cut short since it was opened.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public torch.Tensor Load(string name, torch.ScalarType? type = null, torch.Device? device = null)
    {
        SafetensorsEntry entry = Find(name);
        return _file.Load(new StoredTensor(name, entry.StoredType, entry.Offset, [.. entry.Shape]), type, device);
    }

    /// <summary>Closes the file. Tensors that were read or loaded stay valid.</summary>
    public void Dispose() => _file.Dispose();

    private static byte[] ReadHeader(TensorFile file)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        if (file.Length < prefix.Length) throw new InvalidDataException($"{file.Path}: has {file.Length} bytes, too few for a safetensors file.");

        file.ReadExactly(0, prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderBytes)
            throw new InvalidDataException($"{file.Path}: the header claims {length} bytes; at most {MaxHeaderBytes} are allowed.");
        if (length > (ulong)(file.Length - prefix.Length))
            throw new InvalidDataException($"{file.Path}: the header claims {length} bytes, but only {file.Length - prefix.Length} follow.");

        byte[] header = new byte[length];
        file.ReadExactly(prefix.Length, header);
        return header;
    }

    private SafetensorsEntry Find(string name) =>
        Entries.TryGetValue(name, out SafetensorsEntry? entry) ? entry : throw new KeyNotFoundException($"{Path} has no tensor '{name}'.");
}
