using Lab.Protos.Tensor.V1;

namespace Lab.Tensors;

/// <summary>
/// Puts the tensors of a frame stream together again. Trusts nothing: shape, type, byte counts, sequence and checksums are
/// checked, and a header is refused before any memory is taken for it. Holds at most one tensor. Not thread-safe. Who is done with a
/// large tensor may give its memory back to <see cref="HostBufferPool.Shared"/>, for the next of its size.
/// </summary>
/// <param name="maxTensorBytes">The most bytes that one tensor may take in memory, encoded copy included; by default 1 GiB, never above 2 GiB.</param>
/// <param name="maxTotalBytes">The most bytes that all tensors of the stream may have together; by default no limit.</param>
public sealed class TensorFrameReader(long maxTensorBytes = 1L << 30, long maxTotalBytes = long.MaxValue)
{
    private readonly long _maxTensorBytes = Math.Clamp(maxTensorBytes, 0, Array.MaxLength);
    private long _remainingBytes = Math.Max(0, maxTotalBytes);
    private bool _isOpen;
    private TensorDataType _type;
    private long[] _shape = [];
    private long _elementCount;
    private byte[] _encoded = [];
    private int _received;
    private int _sequence;

    /// <summary>The header of the tensor that was opened last, which states encoding and error; null before the first.</summary>
    public TensorHeader? Header { get; private set; }

    /// <summary>Takes the next frame of the stream. The reader may keep the frame's memory.</summary>
    /// <param name="frame">The frame.</param>
    /// <returns>The tensor that this frame completes, decoded to its own type; null if more frames must follow.</returns>
    /// <exception cref="InvalidDataException">
    /// The frame is not what must come next, or the tensor is over the budget. Names the tensor, and of a chunk the sequence
    /// number and the offset in bytes. The stream is of no more use then.
    /// </exception>
    public HostTensor? Accept(TensorFrame frame)
    {
        ArgumentNullException.ThrowIfNull(frame);
        return frame.FrameCase switch
        {
            TensorFrame.FrameOneofCase.Header => Open(frame.Header),
            TensorFrame.FrameOneofCase.Chunk => Append(frame.Chunk),
            _ => throw new InvalidDataException("A tensor frame holds neither a header nor a chunk."),
        };
    }

    /// <summary>Says that the stream has ended.</summary>
    /// <exception cref="InvalidDataException">The last tensor lacks chunks.</exception>
    public void Complete()
    {
        if (_isOpen) throw Failure($"the stream ended at byte {_received} of {Header!.ByteCount}, before chunk {_sequence} of {Header.ChunkCount}");
    }

    private HostTensor? Open(TensorHeader header)
    {
        if (_isOpen) throw Failure($"the header of '{header.Name}' came at byte {_received} of {Header!.ByteCount}, before chunk {_sequence} of {Header.ChunkCount}");
        Header = header;
        _type = header.DataType.ToCore() ?? throw Failure($"the element type {header.DataType} is not known");
        _shape = [.. header.Shape];
        if (!TensorShape.TryCount(_shape, _type.Size(), out _elementCount, out string? error)) throw Failure($"the shape {error}");
        Reserve(header);

        _isOpen = true;
        _received = 0;
        _sequence = 0;
        // A single chunk's own memory serves as the tensor's.
        _encoded = header.ChunkCount <= 1 ? [] : HostBufferPool.Shared.Rent((int)header.ByteCount);
        return header.ChunkCount == 0 ? Finish(default) : null;
    }

    private void Reserve(TensorHeader header)
    {
        // The decoded size first: what follows then computes with small numbers only.
        long decoded = _elementCount * _type.Size();
        if (decoded > _maxTensorBytes) throw Failure($"it takes {decoded} bytes; at most {_maxTensorBytes} are allowed for one tensor");
        CheckByteCount(header, decoded);

        bool isRaw = header.Encoding is Encoding.Unspecified or Encoding.Raw;
        long bytes = decoded + (isRaw ? 0 : header.ByteCount);
        if (bytes > _maxTensorBytes) throw Failure($"it takes {bytes} bytes; at most {_maxTensorBytes} are allowed for one tensor");
        if (bytes > _remainingBytes) throw Failure($"it takes {bytes} bytes; only {_remainingBytes} are left for the rest of the stream");
        _remainingBytes -= bytes;
    }

    private void CheckByteCount(TensorHeader header, long decoded)
    {
        bool isFloat = _type == TensorDataType.Float32;
        bool isRight = header.Encoding switch
        {
            Encoding.Unspecified or Encoding.Raw => header.ByteCount == decoded,
            Encoding.Int8Scaled => isFloat && header.ByteCount == TensorCodec.Int8ByteCount(_shape, _elementCount),
            Encoding.Sparse => isFloat && TensorCodec.IsSparseByteCount(header.ByteCount, _elementCount),
            _ => throw Failure($"the encoding {header.Encoding} is not known"),
        };
        if (!isRight) throw Failure($"{header.ByteCount} bytes cannot be shape {TensorShape.Format(_shape)} of type {_type} in encoding {header.Encoding}");

        long fewest = (header.ByteCount + TensorFrames.MaxChunkBytes - 1) / TensorFrames.MaxChunkBytes;
        if (header.ChunkCount < fewest || header.ChunkCount > header.ByteCount)
            throw Failure($"{header.ByteCount} bytes cannot come in {header.ChunkCount} chunks of 1 to {TensorFrames.MaxChunkBytes} bytes");
    }

    private HostTensor? Append(TensorChunk chunk)
    {
        if (!_isOpen) throw new InvalidDataException($"Chunk {chunk.Sequence} came without a header that announces it, after {(Header is null ? "nothing" : $"tensor '{Header.Name}'")}.");
        if (chunk.Sequence != _sequence) throw Failure(chunk, $"came where chunk {_sequence} must");
        if (chunk.Data.Length is 0 or > TensorFrames.MaxChunkBytes) throw Failure(chunk, $"has {chunk.Data.Length} bytes; 1 to {TensorFrames.MaxChunkBytes} are allowed");
        long left = Header!.ByteCount - _received;
        if (chunk.Data.Length > left) throw Failure(chunk, $"has {chunk.Data.Length} bytes, but only {left} are left");
        uint crc = Crc32C.Compute(chunk.Data.Span);
        if (crc != chunk.Crc32C) throw Failure(chunk, $"has the CRC-32C {crc:x8}, not {chunk.Crc32C:x8}: its bytes changed on the way");
        bool isLast = _sequence + 1 == Header.ChunkCount;
        if (isLast && chunk.Data.Length < left) throw Failure(chunk, $"is the last, but {left - chunk.Data.Length} more bytes are missing");

        if (_encoded.Length > 0) chunk.Data.Span.CopyTo(_encoded.AsSpan(_received));
        _received += chunk.Data.Length;
        _sequence++;
        return isLast ? Finish(_encoded.Length > 0 ? _encoded : chunk.Data.Memory) : null;
    }

    private HostTensor Finish(ReadOnlyMemory<byte> encoded)
    {
        _isOpen = false;
        _encoded = [];
        try
        {
            return new HostTensor(Header!.Name, _type, _shape, Header.Encoding switch
            {
                Encoding.Int8Scaled => TensorCodec.DecodeInt8(encoded.Span, _shape, _elementCount),
                Encoding.Sparse => TensorCodec.DecodeSparse(encoded.Span, _elementCount),
                _ => encoded,
            });
        }
        catch (InvalidDataException exception)
        {
            throw Failure(exception.Message);
        }
    }

    private InvalidDataException Failure(string reason) => new($"Tensor '{Header!.Name}': {reason}.");

    private InvalidDataException Failure(TensorChunk chunk, string reason) => Failure($"chunk {chunk.Sequence} at byte {_received} {reason}");
}
