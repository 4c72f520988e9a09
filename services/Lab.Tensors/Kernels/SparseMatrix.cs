using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Lab.Tensors.Kernels.Simd;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>
/// A weight [out, in] of which few entries are not zero, on the CPU in FP32: its products with tokens, and the gradients of what it
/// read. Entries that are zero are left out, also where an input is infinite or NaN. A token's result is the same bits alone, in
/// every batch, on any number of threads and with any instructions. Reading is safe from several threads; rebuilding is not.
/// </summary>
/// <param name="hasInputGradient">Whether <see cref="InputGradient"/> will be asked for, which takes as much memory again.</param>
public sealed unsafe class SparseMatrix(bool hasInputGradient = true) : IDisposable
{
    private readonly SparseMatrixRows _rows = new();
    private readonly SparseMatrixRows? _columns = hasInputGradient ? new() : null;

    /// <summary>Outputs; 0 before the first <see cref="Rebuild(Tensor)"/>.</summary>
    public int Outputs => _rows.Count;

    /// <summary>Inputs; 0 before the first <see cref="Rebuild(Tensor)"/>.</summary>
    public int Inputs => _rows.Columns;

    /// <summary>Entries that are not zero.</summary>
    public int NonzeroCount => _rows.NonzeroCount;

    /// <summary>Bytes of its buffers: 12 for each entry, twice that with input gradients, and a little for each row.</summary>
    public long SizeBytes => _rows.SizeBytes + (_columns?.SizeBytes ?? 0);

    /// <summary>The widest instructions that the kernels have here.</summary>
    internal static SparseMatrixInstructions Best { get; } =
        Avx512F.IsSupported && Vector512.IsHardwareAccelerated ? SparseMatrixInstructions.Avx512
        : Avx2.IsSupported && Fma.IsSupported ? SparseMatrixInstructions.Avx2
        : SparseMatrixInstructions.Scalar;

    /// <summary>The instructions that are used.</summary>
    internal SparseMatrixInstructions Instructions { get; init; } = Best;

    /// <summary>
    /// Whether the products are faster than dense ones. The rule is fixed, not measured in each process: the two differ in rounding, and a
    /// run that is resumed must take the way that it took before. On one core of an AMD EPYC (Zen 5) against MKL, products break even
    /// at 1 of 2 entries for 16 tokens or more and at 1 of 5 for fewer; matrices below 64 x 64 are worth it for many tokens only.
    /// </summary>
    /// <param name="outputs">Rows of the matrix.</param>
    /// <param name="inputs">Columns of the matrix.</param>
    /// <param name="nonzeros">Entries that are not zero.</param>
    /// <param name="tokens">How many are multiplied at once.</param>
    public static bool IsWorthwhile(long outputs, long inputs, long nonzeros, long tokens)
    {
        const long MultiplicationsWorthIt = 1 << 16;
        long entriesForOne = (Best, tokens < 16) switch
        {
            (SparseMatrixInstructions.Scalar, _) => 64,
            (_, true) => 8,
            (SparseMatrixInstructions.Avx512, _) => 3,
            _ => 6,
        };
        return outputs * inputs * tokens >= MultiplicationsWorthIt && nonzeros * entriesForOne <= outputs * inputs;
    }

    /// <summary>Reads a weight again. Once it held as many entries in a matrix of this shape, nothing is allocated.</summary>
    /// <param name="weight">[out, in], FP32, contiguous, on the CPU. Not kept.</param>
    /// <exception cref="ArgumentException">The weight is no such tensor.</exception>
    public void Rebuild(Tensor weight)
    {
        if (weight.dim() != 2) throw new ArgumentException($"A weight is [out, in], not [{string.Join(", ", weight.shape)}].", nameof(weight));
        Rebuild(HostMemory.Address(weight), (int)weight.shape[0], (int)weight.shape[1]);
        HostMemory.KeepAlive(weight);
    }

    /// <summary>Reads a weight again. Once it held as many entries in a matrix of this shape, nothing is allocated.</summary>
    /// <param name="weight">[outputs, inputs], contiguous. Not kept.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="inputs">Columns.</param>
    /// <exception cref="OverflowException">More than 2^31 - 1 entries are not zero.</exception>
    public void Rebuild(float* weight, int outputs, int inputs)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(outputs);
        ArgumentOutOfRangeException.ThrowIfNegative(inputs);
        switch (Instructions)
        {
            case SparseMatrixInstructions.Avx512: _rows.Read<Lanes512, Vector512<float>>(weight, outputs, inputs); break;
            case SparseMatrixInstructions.Avx2: _rows.Read<Lanes256, Vector256<float>>(weight, outputs, inputs); break;
            default: _rows.Read<Lanes1, float>(weight, outputs, inputs); break;
        }

        _columns?.ReadTransposed(_rows);
    }

    /// <summary>y = x W^T + bias.</summary>
    /// <param name="x">[..., in], FP32 on the CPU.</param>
    /// <param name="bias">[out], or null.</param>
    /// <returns>[..., out], in the caller's dispose scope, outside of autograd.</returns>
    /// <exception cref="ArgumentException">A tensor has another type or shape.</exception>
    public Tensor Forward(Tensor x, Tensor? bias = null)
    {
        long[] shape = x.shape;
        if (shape.Length == 0 || shape[^1] != Inputs) throw new ArgumentException($"Inputs must be [..., {Inputs}], not [{string.Join(", ", shape)}].", nameof(x));
        if (bias is not null && bias.numel() != Outputs) throw new ArgumentException($"The bias has {bias.numel()} entries for {Outputs} outputs.", nameof(bias));
        shape[^1] = Outputs;
        using var noGrad = no_grad();
        Tensor y = empty(shape, ScalarType.Float32);
        using Tensor detached = x.detach(), input = detached.contiguous();
        Forward(HostMemory.Address(input), HostMemory.Address(y), checked((int)(y.numel() / Math.Max(1, Outputs))), bias is null ? null : HostMemory.Address(bias));
        HostMemory.KeepAlive(y, bias);
        return y;
    }

    /// <summary>y = x W^T + bias; y += x W^T + bias if <paramref name="accumulates"/>.</summary>
    /// <param name="x">[tokens, in].</param>
    /// <param name="y">[tokens, out]; must not overlap with x.</param>
    /// <param name="tokens">How many.</param>
    /// <param name="bias">[out], or null.</param>
    /// <param name="accumulates">Whether to add to what y holds.</param>
    public void Forward(float* x, float* y, int tokens, float* bias = null, bool accumulates = false) => Run(_rows, x, y, tokens, bias, accumulates);

    /// <summary>dx = dy W, the gradient of the inputs; dx += dy W if <paramref name="accumulates"/>.</summary>
    /// <param name="dy">[tokens, out].</param>
    /// <param name="dx">[tokens, in]; must not overlap with dy.</param>
    /// <param name="tokens">How many.</param>
    /// <param name="accumulates">Whether to add to what dx holds.</param>
    /// <exception cref="InvalidOperationException">The matrix was made without input gradients.</exception>
    public void InputGradient(float* dy, float* dx, int tokens, bool accumulates = false) =>
        Run(_columns ?? throw new InvalidOperationException("This matrix was made without input gradients."), dy, dx, tokens, null, accumulates);

    /// <inheritdoc/>
    public void Dispose()
    {
        _rows.Dispose();
        _columns?.Dispose();
    }

    private void Run(SparseMatrixRows rows, float* x, float* y, int tokens, float* bias, bool accumulates)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        switch (Instructions)
        {
            case SparseMatrixInstructions.Avx512: SparseMatrixProduct.Run<Lanes512, Vector512<float>>(rows, x, y, tokens, bias, accumulates); break;
            case SparseMatrixInstructions.Avx2: SparseMatrixProduct.Run<Lanes256, Vector256<float>>(rows, x, y, tokens, bias, accumulates); break;
            default: SparseMatrixProduct.Run<Lanes1, float>(rows, x, y, tokens, bias, accumulates); break;
        }
    }
}
