using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>
/// AbsTopK: keeps, of each row of the last dimension, the k entries of largest magnitude with their signs and zeroes the
/// rest; gradients flow to kept entries only (Gao et al. 2025, section 2.1). Exact; ties go to the lowest index. NaN and
/// infinities have no place in the order: where a caller computes one thing, they are refused with an
/// <see cref="ArithmeticException"/> that says where; <see cref="Apply"/>, whose rows may belong to several requests, makes
/// NaN of the whole row and touches no other.
/// </summary>
public static unsafe class AbsTopK
{
    /// <summary>About 64 KiB of input a part: small enough to share out, large enough that sharing costs nothing.</summary>
    private const int EntriesPerPart = 1 << 14;

    /// <summary>How many of <paramref name="channels"/> the fraction keeps: floor, but at least one.</summary>
    public static int Kept(double fraction, long channels) => Math.Max(1, (int)(fraction * channels));

    /// <summary>64-bit words that a row's bitset takes.</summary>
    public static int WordsPerRow(int columns) => (columns + 63) / 64;

    /// <summary>Applies AbsTopK over the last dimension of <paramref name="x"/>; differentiable.</summary>
    /// <param name="x">[..., channels], FP32 for the CPU kernel; any other tensor takes torch operations.</param>
    /// <param name="k">Entries to keep in each row. At least <c>channels</c> returns an alias of <paramref name="x"/>.</param>
    public static Tensor Apply(Tensor x, int k)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        if (k >= x.shape[^1]) return x.alias();
        if (!(is_grad_enabled() && x.requires_grad) && HostMemory.IsAddressable(x))
        {
            Tensor y = empty_like(x);
            (int rows, int columns) = RowsOf(x);
            Run(HostMemory.Address(x), HostMemory.Address(y), rows, columns, k, null, isMask: false);
            HostMemory.KeepAlive(x);
            return y;
        }

        using Tensor mask = MaskOf(x, k, refuses: false);
        return x * mask;
    }

    /// <summary>1 for the kept entries and 0 for the others, outside of autograd.</summary>
    /// <param name="x">[..., channels].</param>
    /// <param name="k">Entries to keep in each row, 0 to all.</param>
    /// <exception cref="ArithmeticException">An entry is NaN or infinite: says the first such row and column.</exception>
    public static Tensor Mask(Tensor x, int k) => MaskOf(x, k, refuses: true);

    /// <summary>The selection without autograd, for a training step that does its own backward.</summary>
    /// <param name="x">[rows, columns], contiguous.</param>
    /// <param name="y">Receives the kept values, and 0 elsewhere. May be <paramref name="x"/>. Null for the bitset alone.</param>
    /// <param name="kept">Receives one bit an entry: <see cref="WordsPerRow"/> words a row, column c in bit c % 64 of word c / 64; bits past the last column are 0.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row, at least 1.</param>
    /// <param name="k">Entries to keep in each row; 0 keeps none, <paramref name="columns"/> or more keeps all.</param>
    /// <exception cref="ArithmeticException">An entry is NaN or infinite: says the first such row and column. What was written is then not defined.</exception>
    public static void Select(float* x, float* y, ulong* kept, int rows, int columns, int k)
    {
        long failed = long.MaxValue;
        Run(x, y, kept, rows, columns, k, &failed, isMask: false);
        if (failed != long.MaxValue) throw NotFinite(failed / columns, failed % columns, x[failed]);
    }

    /// <summary>The gradient of <see cref="Select(float*, float*, ulong*, int, int, int)"/>: passes where kept, 0 elsewhere.</summary>
    /// <param name="dy">[rows, columns], contiguous.</param>
    /// <param name="kept">The bitset of the selection.</param>
    /// <param name="dx">Receives the result. May be <paramref name="dy"/>.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    public static void Mask(float* dy, ulong* kept, float* dx, int rows, int columns)
    {
        if (Vector512.IsHardwareAccelerated) Mask<Lanes512, Vector512<float>, Vector512<int>>(dy, kept, dx, rows, columns);
        else if (Vector256.IsHardwareAccelerated) Mask<Lanes256, Vector256<float>, Vector256<int>>(dy, kept, dx, rows, columns);
        else Mask<Lanes1, float, int>(dy, kept, dx, rows, columns);
    }

    /// <summary><see cref="Select(float*, float*, ulong*, int, int, int)"/> of tensors on the CPU.</summary>
    /// <param name="x">[..., columns], FP32, contiguous.</param>
    /// <param name="y">Like <paramref name="x"/>, or <paramref name="x"/> itself.</param>
    /// <param name="kept">INT64, contiguous, <see cref="WordsPerRow"/> for each row.</param>
    /// <param name="k">Entries to keep in each row.</param>
    /// <exception cref="ArgumentException">A tensor has another type or size.</exception>
    /// <exception cref="ArithmeticException">An entry is NaN or infinite: says the first such row and column.</exception>
    public static void Select(Tensor x, Tensor y, Tensor kept, int k)
    {
        (int rows, int columns) = RowsOf(x);
        RequireSameSize(x, y);
        Select(HostMemory.Address(x), HostMemory.Address(y), HostMemory.AddressOfWords(kept, rows * (long)WordsPerRow(columns)), rows, columns, k);
        HostMemory.KeepAlive(x, y, kept);
    }

    /// <summary><see cref="Mask(float*, ulong*, float*, int, int)"/> of tensors on the CPU.</summary>
    /// <param name="dy">[..., columns], FP32, contiguous.</param>
    /// <param name="kept">The bitset of the selection.</param>
    /// <param name="dx">Like <paramref name="dy"/>, or <paramref name="dy"/> itself.</param>
    /// <exception cref="ArgumentException">A tensor has another type or size.</exception>
    public static void Mask(Tensor dy, Tensor kept, Tensor dx)
    {
        (int rows, int columns) = RowsOf(dy);
        RequireSameSize(dy, dx);
        Mask(HostMemory.Address(dy), HostMemory.AddressOfWords(kept, rows * (long)WordsPerRow(columns)), HostMemory.Address(dx), rows, columns);
        HostMemory.KeepAlive(dy, kept, dx);
    }

    /// <summary>The selection at a given width; see <see cref="AbsTopKRows{TLanes, TFloat, TBits}"/>.</summary>
    internal static void Run<TLanes, TFloat, TBits>(float* x, float* y, ulong* kept, int rows, int columns, int k, long* failed, bool isMask)
        where TLanes : struct, ILanes<TFloat, TBits>
        where TFloat : struct
        where TBits : struct
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        HostThreads.For(new AbsTopKRows<TLanes, TFloat, TBits>(x, y, kept, columns, k, failed, isMask), rows, RowsPerPart(columns));
    }

    /// <summary><see cref="Mask(float*, ulong*, float*, int, int)"/> at a given width.</summary>
    internal static void Mask<TLanes, TFloat, TBits>(float* dy, ulong* kept, float* dx, int rows, int columns)
        where TLanes : struct, ILanes<TFloat, TBits>
        where TFloat : struct
        where TBits : struct
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        HostThreads.For(new AbsTopKMask<TLanes, TFloat, TBits>(dy, kept, dx, columns), rows, RowsPerPart(columns));
    }

    private static void Run(float* x, float* y, ulong* kept, int rows, int columns, int k, long* failed, bool isMask)
    {
        if (Vector512.IsHardwareAccelerated) Run<Lanes512, Vector512<float>, Vector512<int>>(x, y, kept, rows, columns, k, failed, isMask);
        else if (Vector256.IsHardwareAccelerated) Run<Lanes256, Vector256<float>, Vector256<int>>(x, y, kept, rows, columns, k, failed, isMask);
        else Run<Lanes1, float, int>(x, y, kept, rows, columns, k, failed, isMask);
    }

    private static void Run(float* x, float* y, int rows, int columns, int k, long* failed, bool isMask)
    {
        Run(x, y, Scratch.OfThread.Words(rows * (long)WordsPerRow(columns)), rows, columns, k, failed, isMask);
    }

    private static Tensor MaskOf(Tensor x, int k, bool refuses)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor values = x.detach().contiguous();
        (int rows, int columns) = RowsOf(values);
        long failed = long.MaxValue;
        Tensor mask;
        if (HostMemory.IsAddressable(values))
        {
            mask = empty_like(values);
            Run(HostMemory.Address(values), HostMemory.Address(mask), rows, columns, k, refuses ? &failed : null, isMask: true);
        }
        else
        {
            mask = MaskWithTorch(values, k, refuses, ref failed);
        }

        if (failed != long.MaxValue) throw NotFinite(failed / columns, failed % columns, values.flatten()[failed].to(ScalarType.Float32).item<float>());
        return mask.MoveToOuterDisposeScope();
    }

    private static void RequireSameSize(Tensor source, Tensor target)
    {
        if (source.numel() != target.numel()) throw new ArgumentException($"Needs {source.numel()} entries, has {target.numel()}.", nameof(target));
    }

    private static int RowsPerPart(int columns) => Math.Max(1, EntriesPerPart / columns);

    private static (int Rows, int Columns) RowsOf(Tensor x)
    {
        int columns = (int)x.shape[^1];
        return ((int)(x.numel() / columns), columns);
    }

    private static Tensor MaskWithTorch(Tensor values, int k, bool refuses, ref long failed)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        Tensor finite = values.isfinite();
        if (refuses && !finite.all().item<bool>()) failed = finite.to(ScalarType.Int32).flatten().argmin().item<long>();

        // A stable sort, unlike topk, says which of equal magnitudes come first.
        (_, Tensor order) = values.abs().sort(-1, descending: true, stable: true);
        Tensor indices = order.narrow(-1, 0, Math.Min(k, values.shape[^1]));
        Tensor mask = zeros_like(values).scatter_(-1, indices, ones_like(indices, values.dtype));
        return refuses ? mask : mask.masked_fill_(finite.all(-1, keepdim: true).logical_not(), float.NaN);
    }

    private static ArithmeticException NotFinite(long row, long column, float value) =>
        new($"AbsTopK needs finite values: row {row}, column {column} is {value}.");
}
