using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;

namespace Lab.Tensors;

/// <summary>
/// A safetensors file (https://github.com/huggingface/safetensors), memory-mapped for reading: an 8-byte little-endian
/// header length, a JSON header, and the tensors' bytes without gaps. Everything is checked when it is opened. Thread-safe.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>The largest JSON header that is accepted, in bytes: 100 MB, as in the reference implementation.</summary>
    public const long MaxHeaderBytes = 100_000_000;

    private readonly string _path;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    private SafetensorsFile(string path, MemoryMappedFile file, MemoryMappedViewAccessor view, SafetensorsHeader header)
    {
        _path = path;
        _file = file;
        _view = view;
        Entries = header.Entries;
        Metadata = header.Metadata;
    }

    /// <summary>The file's tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <summary>The strings under the header's <c>__metadata__</c>; empty if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its whole header.</summary>
    /// <param name="path">The file's path.</param>
    /// <returns>The open file; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">
    /// The file is malformed: cut short, a header over <see cref="MaxHeaderBytes"/>, bad JSON, a duplicate or unknown key, an
    /// unknown type, a bad shape, offsets that overlap, leave gaps, leave the file or do not fit the shape. Names path and reason.
    /// </exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static SafetensorsFile Open(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        byte[] header = ReadHeader(stream, path);
        SafetensorsHeader parsed = SafetensorsHeader.Parse(header, stream.Length, path);

        MemoryMappedFile file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        return new SafetensorsFile(path, file, view, parsed);
    }

    /// <summary>Copies one tensor into owned host memory.</summary>
    /// <param name="name">The tensor's key.</param>
    /// <returns>The tensor; at most 2 GiB.</returns>
    /// <exception cref="KeyNotFoundException">The file has no such tensor. Names it and the file.</exception>
    /// <exception cref="NotSupportedException">The tensor is larger than 2 GiB.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public HostTensor Read(string name)
    {
        if (!Entries.TryGetValue(name, out SafetensorsEntry? entry))
            throw new KeyNotFoundException($"{_path} has no tensor '{name}'.");
        if (entry.ByteCount > Array.MaxLength)
            throw new NotSupportedException($"Tensor '{name}' of {_path} has {entry.ByteCount} bytes; at most {Array.MaxLength} can be read at once.");

        byte[] data = GC.AllocateUninitializedArray<byte>((int)entry.ByteCount);
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_view.PointerOffset + entry.Offset), data.AsSpan());
        return new HostTensor(name, entry.DataType, [.. entry.Shape], data);
    }

    /// <summary>Unmaps the file. Tensors that were read stay valid.</summary>
    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private static byte[] ReadHeader(FileStream stream, string path)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        if (stream.ReadAtLeast(prefix, prefix.Length, throwOnEndOfStream: false) < prefix.Length)
            throw new InvalidDataException($"{path}: has {stream.Length} bytes, too few for a safetensors file.");

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderBytes)
            throw new InvalidDataException($"{path}: the header claims {length} bytes; at most {MaxHeaderBytes} are allowed.");
        if (length > (ulong)(stream.Length - prefix.Length))
            throw new InvalidDataException($"{path}: the header claims {length} bytes, but only {stream.Length - prefix.Length} follow.");

        byte[] header = new byte[length];
        stream.ReadExactly(header);
        return header;
    }
}
