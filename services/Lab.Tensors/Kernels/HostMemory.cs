using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lab.Tensors.Kernels.Simd;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>Direct access to the memory of CPU tensors, and the split of loops over cores.</summary>
public static unsafe class HostMemory
{
    /// <summary>Whether the kernels can work on this tensor in place: FP32, contiguous, on the CPU.</summary>
    public static bool IsAddressable(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.dtype == ScalarType.Float32 && tensor.is_contiguous();

    /// <summary>The address of the first element. The tensor must outlive its use.</summary>
    public static float* Address(Tensor tensor)
    {
        if (!IsAddressable(tensor)) throw new ArgumentException("Needs a contiguous FP32 tensor on the CPU.", nameof(tensor));
        if (tensor.numel() <= int.MaxValue / sizeof(float)) return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
        // A span ends at 2 GiB, so it is taken of the first element alone.
        using Tensor first = tensor.as_strided([1], [1]);
        return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }

    /// <summary>The address of a contiguous INT64 tensor of this many elements on the CPU. The tensor must outlive its use.</summary>
    public static ulong* AddressOfWords(Tensor tensor, long count)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || tensor.dtype != ScalarType.Int64 || !tensor.is_contiguous() || tensor.numel() != count)
        {
            throw new ArgumentException($"Needs a contiguous INT64 tensor of {count} elements on the CPU.", nameof(tensor));
        }

        return (ulong*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
    }

    /// <summary>Runs <paramref name="body"/>(from, to) over [0, count) on as many cores as torch uses, in equal contiguous parts.</summary>
    public static void ForRanges(int count, long workPerItem, Action<int, int> body)
    {
        const long WorkWorthATask = 1 << 15;
        int parts = (int)Math.Clamp(count * workPerItem / WorkWorthATask, 1, HostThreads.Count);
        HostThreads.For(new ActionJob(body), count, Math.Max(1, (count + parts - 1) / parts));
    }

    private readonly struct ActionJob(Action<int, int> body) : IRangeJob
    {
        public void Run(int from, int to, int worker) => body(from, to);
    }
}
