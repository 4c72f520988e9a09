using TorchSharp;

namespace Lab.Tensors;

/// <summary>Moves tensors between libtorch and host memory. Call it on the thread that owns the libtorch tensor.</summary>
public static class TensorTransfer
{
    private const int BlockBytes = 128 << 10;
    private const int PieceBytes = 64 << 20;

    private delegate long BlockCopy(ReadOnlySpan<byte> source, Span<byte> target);

    /// <summary>
    /// Copies a tensor into owned host memory, from any device, layout of strides and gradient state. One copy if the
    /// tensor is contiguous, on the CPU and already of the wanted type.
    /// </summary>
    /// <param name="tensor">The tensor; neither changed nor disposed.</param>
    /// <param name="name">The name that the copy gets.</param>
    /// <param name="type">The element type of the copy; by default that of the tensor.</param>
    /// <returns>The copy, of the same shape. At most 2 GiB.</returns>
    /// <exception cref="ArgumentException">The tensor's type has no counterpart, or it is larger than 2 GiB.</exception>
    public static HostTensor ToHost(this torch.Tensor tensor, string name, TensorDataType? type = null) =>
        Copy(tensor, name, type, static (source, target) =>
        {
            source.CopyTo(target);
            return -1;
        }).Copy;

    /// <summary>As <see cref="ToHost(torch.Tensor, string, TensorDataType?)"/>, and finds numbers that are not finite on the way.</summary>
    /// <param name="tensor">The tensor; neither changed nor disposed.</param>
    /// <param name="name">The name that the copy gets.</param>
    /// <param name="type">The element type of the copy; by default that of the tensor.</param>
    /// <param name="nonFinite">The index of the first element that is a NaN or an infinity in the copy's type, or -1.</param>
    /// <returns>The copy, of the same shape. At most 2 GiB.</returns>
    /// <exception cref="ArgumentException">The tensor's type has no counterpart, or it is larger than 2 GiB.</exception>
    public static HostTensor ToHost(this torch.Tensor tensor, string name, TensorDataType? type, out long nonFinite)
    {
        TensorDataType wanted = type ?? ToDataType(tensor.dtype, name);
        (HostTensor copy, nonFinite) = Copy(tensor, name, wanted, (source, target) =>
        {
            // Looked at while the block is still in the cache: a second pass over all of it would read memory again.
            for (int from = 0; from < source.Length; from += BlockBytes)
            {
                int count = Math.Min(BlockBytes, source.Length - from);
                Span<byte> block = target.Slice(from, count);
                source.Slice(from, count).CopyTo(block);
                if (NonFinite.Find(block, wanted) is >= 0 and long at)
                {
                    source[from..].CopyTo(target[from..]);
                    return (from / wanted.Size()) + at;
                }
            }

            return -1;
        });
        return copy;
    }

    private static (HostTensor Copy, long NonFinite) Copy(torch.Tensor tensor, string name, TensorDataType? type, BlockCopy copy)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        TensorDataType wanted = type ?? ToDataType(tensor.dtype, name);
        long byteCount = tensor.numel() * wanted.Size();
        if (byteCount > Array.MaxLength)
            throw new ArgumentException($"Tensor '{name}' has {byteCount} bytes; at most {Array.MaxLength} fit in one host tensor.", nameof(tensor));

        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor source = tensor.detach().to(torch.CPU).to(ToScalarType(wanted)).contiguous();
        byte[] data = HostBufferPool.Shared.Rent((int)byteCount);
        long nonFinite = copy(source.bytes, data);
        return (new HostTensor(name, wanted, tensor.shape, data), nonFinite);
    }

    /// <summary>
    /// Hands over a tensor's elements, row-major and little-endian, piece by piece: a span holds at most 2 GiB. Nothing is copied if the tensor
    /// is contiguous and on the CPU; of one on another device, a piece at a time.
    /// </summary>
    /// <param name="tensor">The tensor; neither changed nor disposed.</param>
    /// <param name="read">Takes a piece, which is there for the time of the call; not called for a tensor without elements.</param>
    public static void ReadBytes(this torch.Tensor tensor, Action<ReadOnlySpan<byte>> read)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentNullException.ThrowIfNull(read);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor flat = tensor.detach().contiguous().view(-1);
        long elements = PieceBytes / tensor.element_size();
        for (long from = 0; from < flat.shape[0]; from += elements)
        {
            using DisposeScope piece = torch.NewDisposeScope();
            read(flat.narrow(0, from, Math.Min(elements, flat.shape[0] - from)).cpu().contiguous().bytes);
        }
    }

    /// <summary>The element type that a tensor has in host memory.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="name">Names it in the error.</param>
    /// <exception cref="ArgumentException">The type has no counterpart.</exception>
    internal static TensorDataType HostType(this torch.Tensor tensor, string name) => ToDataType(tensor.dtype, name);

    /// <summary>Copies a host tensor into a new libtorch tensor, which belongs to the caller's current dispose scope, if any.</summary>
    /// <param name="tensor">The host tensor.</param>
    /// <param name="device">Where the new tensor lives; by default on the CPU.</param>
    /// <returns>A contiguous tensor of the same shape and type that needs no gradient.</returns>
    public static torch.Tensor ToTorch(this HostTensor tensor, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor copy = torch.empty(tensor.Shape, dtype: ToScalarType(tensor.DataType), device: torch.CPU);
        tensor.Data.Span.CopyTo(copy.bytes);
        return scope.MoveToOuter(device is null ? copy : copy.to(device));
    }

    /// <summary>libtorch's name of an element type.</summary>
    /// <param name="type">The element type.</param>
    /// <returns>The scalar type.</returns>
    public static torch.ScalarType ToScalarType(this TensorDataType type) => type switch
    {
        TensorDataType.Float32 => torch.ScalarType.Float32,
        TensorDataType.Float16 => torch.ScalarType.Float16,
        TensorDataType.BFloat16 => torch.ScalarType.BFloat16,
        TensorDataType.Float64 => torch.ScalarType.Float64,
        TensorDataType.Int64 => torch.ScalarType.Int64,
        TensorDataType.Int32 => torch.ScalarType.Int32,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };

    private static TensorDataType ToDataType(torch.ScalarType type, string name) => type switch
    {
        torch.ScalarType.Float32 => TensorDataType.Float32,
        torch.ScalarType.Float16 => TensorDataType.Float16,
        torch.ScalarType.BFloat16 => TensorDataType.BFloat16,
        torch.ScalarType.Float64 => TensorDataType.Float64,
        torch.ScalarType.Int64 => TensorDataType.Int64,
        torch.ScalarType.Int32 => TensorDataType.Int32,
        _ => throw new ArgumentException($"Tensor '{name}' has elements of type {type}, which has no counterpart in host memory: convert it.", nameof(type)),
    };
}
