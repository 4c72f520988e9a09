using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>Direct access to the memory of CPU tensors.</summary>
public static unsafe class HostMemory
{
    /// <summary>Whether the kernels can work on this tensor in place: FP32, contiguous, on the CPU.</summary>
    public static bool IsAddressable(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.dtype == ScalarType.Float32 && tensor.is_contiguous();

    /// <summary>The address of the first element. The tensor must outlive its use.</summary>
    /// <param name="tensor">FP32, contiguous, on the CPU; may be a view.</param>
    /// <exception cref="ArgumentException">The tensor is none that <see cref="IsAddressable"/>.</exception>
    public static float* Address(Tensor tensor)
    {
        if (!IsAddressable(tensor)) throw new ArgumentException("Needs a contiguous FP32 tensor on the CPU.", nameof(tensor));
        if (tensor.numel() <= int.MaxValue / sizeof(float)) return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
        // A span ends at 2 GiB, so it is taken of the first element alone; narrow keeps the place of a view in its storage.
        using Tensor flat = tensor.view(-1), first = flat.narrow(0, 0, 1);
        return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }

    /// <summary>The address of the first element of a bitset. The tensor must outlive its use.</summary>
    /// <param name="tensor">INT64, contiguous, on the CPU.</param>
    /// <param name="count">How many elements it must have.</param>
    /// <exception cref="ArgumentException">The tensor is another.</exception>
    public static ulong* AddressOfWords(Tensor tensor, long count)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || tensor.dtype != ScalarType.Int64 || !tensor.is_contiguous() || tensor.numel() != count)
        {
            throw new ArgumentException($"Needs a contiguous INT64 tensor of {count} elements on the CPU.", nameof(tensor));
        }

        return (ulong*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
    }

    /// <summary>
    /// Stands after the last use of addresses. An address holds nothing: a tensor that has no other use could be finalized, and its memory
    /// freed, while a kernel works on it.
    /// </summary>
    internal static void KeepAlive(Tensor first, Tensor? second = null, Tensor? third = null, Tensor? fourth = null)
    {
        GC.KeepAlive(first);
        GC.KeepAlive(second);
        GC.KeepAlive(third);
        GC.KeepAlive(fourth);
    }
}
