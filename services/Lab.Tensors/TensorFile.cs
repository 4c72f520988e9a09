using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors;

/// <summary>
/// A file whose ranges become libtorch tensors, without a second copy in memory. Thread-safe, but for disposal.
/// <para>
/// A tensor on the CPU that keeps the file's own type shares the file's pages: libtorch maps the file copy-on-write
/// (MAP_PRIVATE), so writing to the tensor never reaches the file, and unmaps it when the last tensor is gone, even long after
/// this object is disposed. Pages are read when they are first touched and, unless written to, can be dropped by the system at
/// any time. Every other tensor (of another type, on another device, or at an offset that is no multiple of its element size)
/// is read straight into memory of its own, in pieces; nothing is mapped for it.
/// </para>
/// <para>
/// Deleting the file, or renaming another over it, changes nothing for who has it open: that is how files are to be replaced. A
/// file that is overwritten in place changes the tensors that share it, and one that is truncated ends the process (SIGBUS) at
/// the next touch of a page that is gone. The file is locked (shared, advisory) while it is open here, and its length is
/// checked again at each load; where others may still write to it in place, open it with sharing off: then a change while it
/// is read is an exception, and later ones do nothing.
/// </para>
/// </summary>
public sealed class TensorFile : IDisposable
{
    /// <summary>At most what a span can hold.</summary>
    private const long ReadBytes = 1 << 30;

    /// <summary>Small, as the native heap can come to keep a hole of this size for each tensor.</summary>
    private const int BufferBytes = 256 << 10;

    private readonly Lock _gate = new();
    private readonly SafeFileHandle _handle;
    private readonly bool _share;
    private readonly Dictionary<StoredDataType, Tensor?> _maps = [];

    private TensorFile(string path, SafeFileHandle handle, bool share)
    {
        Path = path;
        _handle = handle;
        _share = share;
        Length = RandomAccess.GetLength(handle);
    }

    /// <summary>The path that it was opened by.</summary>
    public string Path { get; }

    /// <summary>The file's length in bytes when it was opened.</summary>
    public long Length { get; }

    /// <summary>Opens a file.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="share">Whether tensors may share the file's pages; true by default.</param>
    /// <exception cref="IOException">It cannot be opened; <see cref="FileNotFoundException"/> if there is none.</exception>
    public static TensorFile Open(string path, bool share = true) =>
        new(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete), share);

    /// <summary>Fills a buffer with the bytes at an offset.</summary>
    /// <exception cref="InvalidDataException">The file ends before. Names path and byte.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public void ReadExactly(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int count = RandomAccess.Read(_handle, buffer, offset);
            if (count == 0) throw new InvalidDataException($"{Path}: the file ends at byte {offset}, {buffer.Length} bytes too early.");
            buffer = buffer[count..];
            offset += count;
        }
    }

    /// <summary>Makes a tensor of a range of the file: shared, or in one copy.</summary>
    /// <param name="stored">The range.</param>
    /// <param name="type">The wanted type, by default that of the file. Floating-point types are converted into each other, nothing else is converted.</param>
    /// <param name="device">Where the tensor lives; the CPU by default.</param>
    /// <returns>
    /// The tensor, of the stored shape and strides; it needs no gradient, belongs to no dispose scope but to the caller, and
    /// stays valid after this file is disposed.
    /// </returns>
    /// <exception cref="InvalidDataException">
    /// Tensors of its type cannot be loaded, or not as the wanted one, or the file was cut short since it was opened. Names path, tensor and types.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public Tensor Load(StoredTensor stored, ScalarType? type = null, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(stored);
        ScalarType own = stored.Type.ScalarType
            ?? throw new InvalidDataException($"{Path}: tensor '{stored.Name}' is of type {stored.Type}, which cannot be loaded.");
        ScalarType wanted = type ?? own;
        if (wanted != own && !(stored.Type.IsFloatingPoint && StoredDataType.IsFloat(wanted)))
            throw new InvalidDataException($"{Path}: tensor '{stored.Name}' is of type {stored.Type}, which cannot be loaded as {wanted}.");
        CheckLength(stored);

        using DisposeScope scope = NewDisposeScope();
        bool isOnCpu = device is null || device.type == DeviceType.CPU;
        Tensor? map = wanted == own && isOnCpu && stored.Span > 0 ? Map(stored) : null;
        Tensor view = map is not null
            ? AsStrided(map, stored, stored.Offset / stored.Type.Bytes)
            : AsStrided(Copy(stored, own, wanted, device ?? CPU), stored, 0);

        // Made by set_, it is no view to autograd: tensors that share a mapping have version counters of their own.
        return empty(0, dtype: wanted, device: device ?? CPU).set_(view).DetachFromDisposeScope();
    }

    /// <summary>Closes the file. Tensors that were loaded stay valid.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (Tensor? map in _maps.Values) map?.Dispose();
            _maps.Clear();
            _handle.Dispose();
        }
    }

    private static Tensor AsStrided(Tensor elements, StoredTensor stored, long offset)
    {
        if (stored.Strides is { } strides && stored.Span > 0) return elements.as_strided(stored.Shape, strides, offset);
        return elements.narrow(0, offset, stored.Span).view(stored.Shape);
    }

    private void CheckLength(StoredTensor stored)
    {
        long end = stored.Offset + (stored.Span * stored.Type.Bytes);
        long length = RandomAccess.GetLength(_handle);
        if (end > length) throw new InvalidDataException($"{Path}: tensor '{stored.Name}' ends at byte {end}, but the file at byte {length}.");
    }

    /// <summary>The whole file as elements of a type, copy-on-write; null if the range cannot be shared.</summary>
    private Tensor? Map(StoredTensor stored)
    {
        // A mapping of the file as elements of one type can only serve offsets that are multiples of the element size.
        if (!_share || stored.Offset % stored.Type.Bytes != 0) return null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            if (!_maps.TryGetValue(stored.Type, out Tensor? map)) _maps[stored.Type] = map = TryMap(stored.Type);
            return map;
        }
    }

    private Tensor? TryMap(StoredDataType type)
    {
        // By its descriptor: the path may lead to another file by now, or to none.
        string descriptor = $"/proc/self/fd/{_handle.DangerousGetHandle()}";
        try
        {
            return from_file(File.Exists(descriptor) ? descriptor : Path, shared: false, size: Length / type.Bytes, dtype: type.ScalarType).DetachFromDisposeScope();
        }
        catch (ExternalException)
        {
            // The system refuses a private mapping larger than its memory, and some file systems any: such tensors are copied.
            return null;
        }
    }

    private Tensor Copy(StoredTensor stored, ScalarType own, ScalarType wanted, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor copy = empty(stored.Span, dtype: wanted, device: device);
        if (own == wanted && device.type == DeviceType.CPU) Read(stored, copy);
        else Convert(stored, own, copy);
        return scope.MoveToOuter(copy);
    }

    /// <summary>Reads into a tensor of the file's own type on the CPU; in pieces, as a span ends at 2 GiB.</summary>
    private void Read(StoredTensor stored, Tensor copy)
    {
        long piece = ReadBytes / stored.Type.Bytes;
        for (long done = 0; done < stored.Span; done += piece)
        {
            using DisposeScope step = NewDisposeScope();
            ReadExactly(stored.Offset + (done * stored.Type.Bytes), copy.narrow(0, done, Math.Min(piece, stored.Span - done)).bytes);
        }
    }

    private void Convert(StoredTensor stored, ScalarType own, Tensor copy)
    {
        using DisposeScope scope = NewDisposeScope();
        long piece = Math.Min(stored.Span, BufferBytes / stored.Type.Bytes);
        Tensor buffer = empty(piece, dtype: own);
        for (long done = 0; done < stored.Span; done += piece)
        {
            using DisposeScope step = NewDisposeScope();
            long count = Math.Min(piece, stored.Span - done);
            Tensor read = buffer.narrow(0, 0, count);
            ReadExactly(stored.Offset + (done * stored.Type.Bytes), read.bytes);
            _ = copy.narrow(0, done, count).copy_(read);
        }
    }
}
