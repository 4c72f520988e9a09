using Google.Protobuf;
using Lab.Protos.Tensor.V1;

namespace Lab.Tensors;

/// <summary>Turns tensors into frames for a stream (<c>lab.tensor.v1.TensorFrame</c>).</summary>
public static class TensorFrames
{
    /// <summary>
    /// The chunk size by default: 80 KiB. A .NET receiver makes an array for each chunk; from 85,000 bytes on that comes from the
    /// large object heap, which is collected rarely and gives each new array fresh pages, and clearing those costs more than all checks.
    /// </summary>
    public const int DefaultChunkBytes = 80 << 10;

    /// <summary>The largest chunk that the protocol allows: 1 MiB.</summary>
    public const int MaxChunkBytes = 1 << 20;

    /// <summary>
    /// Encodes a tensor as a header and chunks with their CRC-32C. Lazy: a chunk is made when it is asked for, so that a slow
    /// stream holds the encoder back. Raw chunks share the tensor's memory; the other encodings hold one encoded copy.
    /// </summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="encoding">How the elements are represented; unspecified means raw.</param>
    /// <param name="chunkBytes">The size of all chunks but the last, in bytes: 1 to <see cref="MaxChunkBytes"/>.</param>
    /// <returns>The header frame, then the chunk frames.</returns>
    /// <exception cref="ArgumentException">
    /// The encoding is for <see cref="TensorDataType.Float32"/> only and the tensor has another type, or it holds a NaN or an
    /// infinity and the encoding cannot represent them. Thrown at once, not when the frames are read.
    /// </exception>
    /// <exception cref="OverflowException">The encoded tensor would be larger than 2 GiB.</exception>
    public static IEnumerable<TensorFrame> Encode(HostTensor tensor, Encoding encoding = Encoding.Raw, int chunkBytes = DefaultChunkBytes)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfLessThan(chunkBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chunkBytes, MaxChunkBytes);
        if (encoding is not (Encoding.Unspecified or Encoding.Raw) && tensor.DataType != TensorDataType.Float32)
            throw new ArgumentException($"Encoding {encoding} is for {TensorDataType.Float32}; tensor '{tensor.Name}' holds {tensor.DataType}.", nameof(encoding));

        double maxAbsError = 0;
        ReadOnlyMemory<byte> encoded = encoding switch
        {
            Encoding.Unspecified or Encoding.Raw => tensor.Data,
            Encoding.Int8Scaled => TensorCodec.EncodeInt8(tensor, out maxAbsError),
            Encoding.Sparse => TensorCodec.EncodeSparse(tensor),
            _ => throw new ArgumentOutOfRangeException(nameof(encoding), encoding, "Not an encoding."),
        };
        TensorHeader header = new()
        {
            Name = tensor.Name,
            DataType = tensor.DataType.ToProto(),
            Shape = { tensor.Shape },
            Encoding = encoding == Encoding.Unspecified ? Encoding.Raw : encoding,
            ByteCount = encoded.Length,
            ChunkCount = (int)(((long)encoded.Length + chunkBytes - 1) / chunkBytes),
            MaxAbsError = maxAbsError,
        };
        return Enumerate(header, encoded, chunkBytes);
    }

    private static IEnumerable<TensorFrame> Enumerate(TensorHeader header, ReadOnlyMemory<byte> encoded, int chunkBytes)
    {
        yield return new TensorFrame { Header = header };
        for (int sequence = 0; !encoded.IsEmpty; sequence++)
        {
            ReadOnlyMemory<byte> chunk = encoded[..Math.Min(chunkBytes, encoded.Length)];
            encoded = encoded[chunk.Length..];
            yield return new TensorFrame
            {
                Chunk = new TensorChunk { Sequence = sequence, Data = UnsafeByteOperations.UnsafeWrap(chunk), Crc32C = Crc32C.Compute(chunk.Span) },
            };
        }
    }
}
