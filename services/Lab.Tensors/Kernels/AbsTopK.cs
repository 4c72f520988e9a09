using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>
/// AbsTopK: keeps, of each row of the last dimension, the k entries of largest magnitude with their signs and zeroes the
/// rest; gradients flow to kept entries only (Gao et al. 2025, section 2.1). Exact; ties go to the lowest index.
/// </summary>
public static unsafe class AbsTopK
{
    /// <summary>How many of <paramref name="channels"/> the fraction keeps: floor, but at least one.</summary>
    public static int Kept(double fraction, long channels) => Math.Max(1, (int)(fraction * channels));

    /// <summary>Applies AbsTopK over the last dimension of <paramref name="x"/>; differentiable.</summary>
    /// <param name="x">[..., channels], FP32 for the CPU kernel; any other tensor takes torch operations.</param>
    /// <param name="k">Entries to keep in each row. At least <c>channels</c> returns an alias of <paramref name="x"/>.</param>
    public static Tensor Apply(Tensor x, int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        if (k >= x.shape[^1]) return x.alias();
        using Tensor mask = Mask(x, k);
        return x * mask;
    }

    /// <summary>1 for the kept entries and 0 for the others, outside of autograd.</summary>
    public static Tensor Mask(Tensor x, int k)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor values = x.detach().contiguous();
        if (!HostMemory.IsAddressable(values))
        {
            (_, Tensor indices) = values.abs().topk(k, -1, largest: true, sorted: false);
            return zeros_like(values).scatter_(-1, indices, ones_like(indices, values.dtype)).MoveToOuterDisposeScope();
        }

        Tensor mask = empty_like(values);
        int columns = (int)x.shape[^1];
        int rows = (int)(x.numel() / columns);
        float* source = HostMemory.Address(values);
        float* target = HostMemory.Address(mask);
        HostMemory.ForRanges(rows, columns * 4L, (from, to) =>
        {
            uint[] buffer = System.Buffers.ArrayPool<uint>.Shared.Rent(columns);
            fixed (uint* magnitudes = buffer)
            {
                for (int row = from; row < to; row++)
                {
                    MagnitudeSelect.Magnitudes(source + (long)row * columns, magnitudes, columns);
                    MagnitudeSelect.WriteMask(magnitudes, columns, k, target + (long)row * columns);
                }
            }

            System.Buffers.ArrayPool<uint>.Shared.Return(buffer);
        });
        return mask.MoveToOuterDisposeScope();
    }
}
