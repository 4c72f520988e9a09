using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Lab.Tensors;

/// <summary>
/// The lossy and sparse encodings of FP32 tensors (<c>lab.tensor.v1.Encoding</c>). Decoders take bytes from the wire and
/// check all of them; they throw <see cref="InvalidDataException"/> with a reason that lacks the tensor's name.
/// </summary>
internal static class TensorCodec
{
    private const int ScaleBytes = sizeof(float);
    private const int CountBytes = sizeof(long);
    private const int PairBytes = sizeof(int) + sizeof(float);

    /// <summary>The number of bytes of a tensor encoded with a scale a row.</summary>
    internal static long Int8ByteCount(ReadOnlySpan<long> shape, long elementCount) => elementCount + (Rows(shape, elementCount) * ScaleBytes);

    /// <summary>Whether so many bytes can be a sparse tensor of so many elements.</summary>
    internal static bool IsSparseByteCount(long byteCount, long elementCount) =>
        elementCount == 0 ? byteCount == 0 : byteCount >= CountBytes && (byteCount - CountBytes) % PairBytes == 0 && (byteCount - CountBytes) / PairBytes <= elementCount;

    /// <summary>Encodes each row of the last dimension as scale and signed bytes.</summary>
    internal static byte[] EncodeInt8(HostTensor tensor, out double maxAbsError)
    {
        ReadOnlySpan<float> values = tensor.Floats;
        byte[] encoded = GC.AllocateUninitializedArray<byte>(checked((int)Int8ByteCount(tensor.Shape, values.Length)));
        Span<byte> target = encoded;
        maxAbsError = 0;
        int columns = (int)Columns(tensor.Shape, values.Length);
        for (; values.Length > 0; values = values[columns..])
        {
            maxAbsError = Math.Max(maxAbsError, EncodeRow(values[..columns], target, tensor.Name));
            target = target[(ScaleBytes + columns)..];
        }

        return encoded;
    }

    internal static byte[] DecodeInt8(ReadOnlySpan<byte> encoded, ReadOnlySpan<long> shape, long elementCount)
    {
        byte[] decoded = GC.AllocateUninitializedArray<byte>(checked((int)elementCount * sizeof(float)));
        Span<float> values = MemoryMarshal.Cast<byte, float>(decoded.AsSpan());
        int columns = (int)Columns(shape, elementCount);
        for (int row = 0; values.Length > 0; values = values[columns..], row++)
        {
            float scale = BinaryPrimitives.ReadSingleLittleEndian(encoded);
            if (!float.IsFinite(scale) || scale < 0) throw new InvalidDataException($"row {row} has the scale {scale}");
            ReadOnlySpan<sbyte> bytes = MemoryMarshal.Cast<byte, sbyte>(encoded.Slice(ScaleBytes, columns));
            for (int i = 0; i < bytes.Length; i++) values[i] = scale * bytes[i];
            encoded = encoded[(ScaleBytes + columns)..];
        }

        return decoded;
    }

    /// <summary>Encodes the elements whose bits are not all zero, so that negative zeros and NaNs survive.</summary>
    internal static byte[] EncodeSparse(HostTensor tensor)
    {
        ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(tensor.Floats);
        if (bits.IsEmpty) return [];
        int count = bits.Length - bits.Count(0);
        byte[] encoded = GC.AllocateUninitializedArray<byte>(checked(CountBytes + (count * PairBytes)));
        BinaryPrimitives.WriteInt64LittleEndian(encoded, count);
        Span<int> indices = MemoryMarshal.Cast<byte, int>(encoded.AsSpan(CountBytes, count * sizeof(int)));
        Span<int> values = MemoryMarshal.Cast<byte, int>(encoded.AsSpan(CountBytes + (count * sizeof(int))));
        int n = 0;
        for (int i = 0; n < count; i++)
        {
            // Without a branch: an element that is zero is overwritten by the next.
            indices[n] = i;
            values[n] = bits[i];
            n += bits[i] != 0 ? 1 : 0;
        }

        return encoded;
    }

    internal static byte[] DecodeSparse(ReadOnlySpan<byte> encoded, long elementCount)
    {
        byte[] decoded = new byte[checked(elementCount * sizeof(float))];
        if (elementCount == 0) return decoded;
        long count = BinaryPrimitives.ReadInt64LittleEndian(encoded);
        if (count != (encoded.Length - CountBytes) / PairBytes)
            throw new InvalidDataException($"its {encoded.Length} bytes hold {(encoded.Length - CountBytes) / PairBytes} elements, but {count} are announced");

        Span<int> bits = MemoryMarshal.Cast<byte, int>(decoded.AsSpan());
        ReadOnlySpan<int> indices = MemoryMarshal.Cast<byte, int>(encoded.Slice(CountBytes, (int)count * sizeof(int)));
        ReadOnlySpan<int> values = MemoryMarshal.Cast<byte, int>(encoded[(CountBytes + ((int)count * sizeof(int)))..]);
        int previous = -1;
        for (int n = 0; n < indices.Length; n++)
        {
            int index = indices[n];
            if (index <= previous || index >= elementCount)
                throw new InvalidDataException($"index {index} after {previous} is not ascending or not below {elementCount}");
            bits[index] = values[n];
            previous = index;
        }

        return decoded;
    }

    private static double EncodeRow(ReadOnlySpan<float> row, Span<byte> target, string name)
    {
        float largest = MaxAbs(row);
        if (!float.IsFinite(largest)) throw new ArgumentException($"Tensor '{name}' holds {largest}, which signed bytes cannot represent: send it raw.", nameof(row));

        float scale = largest / sbyte.MaxValue;
        if (float.IsInfinity(scale * sbyte.MaxValue)) scale = MathF.BitDecrement(scale);
        BinaryPrimitives.WriteSingleLittleEndian(target, scale);
        Span<sbyte> bytes = MemoryMarshal.Cast<byte, sbyte>(target.Slice(ScaleBytes, row.Length));
        if (scale == 0)
        {
            // All elements are zero, or so small that the scale underflowed.
            bytes.Clear();
            return largest;
        }

        int i = 0;
        Vector512<float> errors = Vector512<float>.Zero;
        for (; i <= row.Length - Vector512<sbyte>.Count; i += Vector512<sbyte>.Count)
        {
            Vector512<short> low = Vector512.Narrow(Quantize(row[i..], scale, ref errors), Quantize(row[(i + 16)..], scale, ref errors));
            Vector512<short> high = Vector512.Narrow(Quantize(row[(i + 32)..], scale, ref errors), Quantize(row[(i + 48)..], scale, ref errors));
            Vector512.Narrow(low, high).CopyTo(bytes[i..]);
        }

        float error = 0;
        for (int lane = 0; lane < Vector512<float>.Count; lane++) error = MathF.Max(error, errors[lane]);
        for (; i < row.Length; i++)
        {
            float nearest = Math.Clamp(MathF.Round(row[i] / scale), -sbyte.MaxValue, sbyte.MaxValue);
            bytes[i] = (sbyte)nearest;
            error = MathF.Max(error, MathF.Abs(row[i] - (scale * nearest)));
        }

        return error;
    }

    /// <summary>The nearest bytes, as integers, of the first 16 elements; keeps the largest error that each lane makes.</summary>
    private static Vector512<int> Quantize(ReadOnlySpan<float> values, float scale, ref Vector512<float> errors)
    {
        Vector512<float> value = Vector512.Create(values);
        Vector512<float> most = Vector512.Create((float)sbyte.MaxValue);
        Vector512<float> nearest = Vector512.Min(Vector512.Max(Vector512.Round(value / scale), -most), most);
        errors = Vector512.Max(errors, Vector512.Abs(value - (nearest * scale)));
        return Vector512.ConvertToInt32(nearest);
    }

    /// <summary>The largest magnitude; an infinity or a NaN if there is one. The bits of magnitudes are in the order of their values.</summary>
    private static float MaxAbs(ReadOnlySpan<float> row)
    {
        ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(row);
        Vector512<int> magnitudes = Vector512<int>.Zero;
        int i = 0;
        for (; i <= bits.Length - Vector512<int>.Count; i += Vector512<int>.Count)
            magnitudes = Vector512.Max(magnitudes, Vector512.Create(bits[i..]) & Vector512.Create(int.MaxValue));

        int largest = 0;
        for (int lane = 0; lane < Vector512<int>.Count; lane++) largest = Math.Max(largest, magnitudes[lane]);
        for (; i < bits.Length; i++) largest = Math.Max(largest, bits[i] & int.MaxValue);
        return BitConverter.Int32BitsToSingle(largest);
    }

    private static long Columns(ReadOnlySpan<long> shape, long elementCount) => elementCount == 0 || shape.IsEmpty ? 1 : shape[^1];

    private static long Rows(ReadOnlySpan<long> shape, long elementCount) => elementCount / Columns(shape, elementCount);
}
