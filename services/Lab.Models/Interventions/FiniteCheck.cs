using System.Numerics;
using System.Runtime.InteropServices;
using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>Finds NaN and infinities in host memory, by exponent bits, at the speed of memory.</summary>
public static class FiniteCheck
{
    /// <summary>Requires that every element is finite.</summary>
    /// <param name="tensor">FP64, FP32, FP16 or BF16.</param>
    /// <exception cref="NonFiniteActivationException">An element is not; the message names tensor, index and value.</exception>
    public static void Require(HostTensor tensor)
    {
        long bad = tensor.DataType switch
        {
            TensorDataType.Float32 => Find<uint>(tensor, 0x7F80_0000),
            TensorDataType.Float16 => Find<ushort>(tensor, 0x7C00),
            TensorDataType.BFloat16 => Find<ushort>(tensor, 0x7F80),
            TensorDataType.Float64 => Find<ulong>(tensor, 0x7FF0_0000_0000_0000),
            _ => throw new ArgumentException($"{tensor.DataType} has no infinities to look for.", nameof(tensor)),
        };
        if (bad < 0) return;
        long[] index = new long[tensor.Shape.Length];
        long rest = bad;
        for (int dimension = index.Length - 1; dimension >= 0; dimension--) (rest, index[dimension]) = Math.DivRem(rest, tensor.Shape[dimension]);
        throw new NonFiniteActivationException(tensor.Name, $"element {TensorShape.Format(index)} as {tensor.DataType}");
    }

    private static int Find<T>(HostTensor tensor, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        ReadOnlySpan<T> bits = MemoryMarshal.Cast<byte, T>(tensor.Data.Span);
        Vector<T> exponents = new(exponent);
        int i = 0;
        for (; i <= bits.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(new Vector<T>(bits[i..]) & exponents, exponents)) break;
        }

        for (; i < bits.Length; i++)
        {
            if ((bits[i] & exponent) == exponent) return i;
        }

        return -1;
    }
}
