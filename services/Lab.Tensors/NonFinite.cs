using System.Numerics;
using System.Runtime.InteropServices;

namespace Lab.Tensors;

/// <summary>Finds NaN and infinities by their exponent bits, at the speed of memory.</summary>
public static class NonFinite
{
    /// <summary>The index of the first element that is a NaN or an infinity.</summary>
    /// <param name="data">Elements, little-endian.</param>
    /// <param name="type">Their type.</param>
    /// <returns>The index, or -1 if all are finite, as integers always are.</returns>
    public static long Find(ReadOnlySpan<byte> data, TensorDataType type) => type switch
    {
        TensorDataType.Float32 => Find<uint>(data, 0x7F80_0000),
        TensorDataType.Float16 => Find<ushort>(data, 0x7C00),
        TensorDataType.BFloat16 => Find<ushort>(data, 0x7F80),
        TensorDataType.Float64 => Find<ulong>(data, 0x7FF0_0000_0000_0000),
        _ => -1,
    };

    private static int Find<T>(ReadOnlySpan<byte> data, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        ReadOnlySpan<T> bits = MemoryMarshal.Cast<byte, T>(data);
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
