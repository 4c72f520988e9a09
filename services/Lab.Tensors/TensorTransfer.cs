using TorchSharp;

namespace Lab.Tensors;

/// <summary>Moves tensors between libtorch and host memory. Call it on the thread that owns the libtorch tensor.</summary>
public static class TensorTransfer
{
    /// <summary>
    /// Copies a tensor into owned host memory, from any device, layout of strides and gradient state. One copy if the
    /// tensor is contiguous, on the CPU and already of the wanted type.
    /// </summary>
    /// <param name="tensor">The tensor; neither changed nor disposed.</param>
    /// <param name="name">The name that the copy gets.</param>
    /// <param name="type">The element type of the copy; by default that of the tensor.</param>
    /// <returns>The copy, of the same shape. At most 2 GiB.</returns>
    /// <exception cref="ArgumentException">The tensor's type has no counterpart, or it is larger than 2 GiB.</exception>
    public static HostTensor ToHost(this torch.Tensor tensor, string name, TensorDataType? type = null)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        TensorDataType wanted = type ?? ToDataType(tensor.dtype, name);
        long byteCount = tensor.numel() * wanted.Size();
        if (byteCount > Array.MaxLength)
            throw new ArgumentException($"Tensor '{name}' has {byteCount} bytes; at most {Array.MaxLength} fit in one host tensor.", nameof(tensor));

        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor source = tensor.detach().to(torch.CPU).to(ToScalarType(wanted)).contiguous();
        byte[] data = GC.AllocateUninitializedArray<byte>((int)byteCount);
        source.bytes.CopyTo(data);
        return new HostTensor(name, wanted, tensor.shape, data);
    }

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
