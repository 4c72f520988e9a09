using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>
/// The sum of squares in FP64. The order of additions depends on the number of entries alone, so the result has the same bits
/// on every machine and with any number of threads.
/// </summary>
public static unsafe class SumOfSquares
{
    private const int EntriesPerPart = 1 << 15;

    /// <summary>Of a tensor of any shape; one that is not FP32, contiguous and on the CPU takes torch operations.</summary>
    public static double Of(Tensor x)
    {
        if (HostMemory.IsAddressable(x))
        {
            double sum = Of(HostMemory.Address(x), x.numel());
            HostMemory.KeepAlive(x);
            return sum;
        }

        using var scope = NewDisposeScope();
        Tensor values = x.detach().to(ScalarType.Float64);
        return (values * values).sum().item<double>();
    }

    /// <summary>Of <paramref name="count"/> entries in memory.</summary>
    public static double Of(float* x, long count)
    {
        int parts = checked((int)((count + EntriesPerPart - 1) / EntriesPerPart));
        double* sums = Scratch.OfThread.Sums(parts);
        HostThreads.For(new Job(x, count, sums), parts, 1);
        double total = 0;
        for (int part = 0; part < parts; part++) total += sums[part];
        return total;
    }

    private readonly struct Job(float* x, long count, double* sums) : IRangeJob
    {
        private readonly float* _x = x;
        private readonly double* _sums = sums;

        public void Run(int from, int to, int worker)
        {
            for (int part = from; part < to; part++)
            {
                long start = (long)part * EntriesPerPart;
                _sums[part] = Part(_x + start, (int)Math.Min(EntriesPerPart, count - start));
            }
        }

        private static double Part(float* x, int count)
        {
            Vector512<double> even = default, odd = default;
            int i = 0;
            for (; i <= count - 16; i += 16)
            {
                (Vector512<double> lower, Vector512<double> upper) = Vector512.Widen(Vector512.Load(x + i));
                even += lower * lower;
                odd += upper * upper;
            }

            double sum = 0;
            for (int lane = 0; lane < 8; lane++) sum += even[lane] + odd[lane];
            for (; i < count; i++) sum += (double)x[i] * x[i];
            return sum;
        }
    }
}
