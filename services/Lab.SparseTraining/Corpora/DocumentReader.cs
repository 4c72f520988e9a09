using System.Security.Cryptography;
using System.Text.Unicode;

namespace Lab.SparseTraining.Corpora;

/// <summary>Copies documents to a spool through one small buffer: without a byte order mark, with LF for CRLF, and with a check that they are text.</summary>
/// <param name="spool">Receives the text as the document that is being written.</param>
/// <param name="bufferBytes">Bytes that are read at once; at least 8.</param>
internal sealed class DocumentReader(DocumentSpool spool, int bufferBytes)
{
    private readonly byte[] _buffer = new byte[bufferBytes];

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>Copies a document. It is not committed.</summary>
    /// <param name="stream">The document.</param>
    /// <param name="limit">Stops once more bytes than this are copied.</param>
    /// <param name="ct">Stops within a document, which may be of any length.</param>
    /// <returns>The digest of what was copied; null if it is binary (holds NUL), not UTF-8, or cannot be read.</returns>
    public byte[]? Copy(Stream stream, long limit, CancellationToken ct)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        int carried = 0;
        for (bool isStart = true, isEnd = false; !isEnd && spool.CurrentBytes <= limit; isStart = false)
        {
            ct.ThrowIfCancellationRequested();
            if (!TryFill(stream, carried, out int filled)) return null;
            isEnd = filled < _buffer.Length;

            // What may go on in the next bytes, part of a character or the CR of a CRLF, waits for them.
            int usable = isEnd ? filled : filled - OpenEnd(_buffer.AsSpan(0, filled));
            Span<byte> text = _buffer.AsSpan(0, usable);
            if (isStart && text.StartsWith(ByteOrderMark)) text = text[ByteOrderMark.Length..];
            if (text.Contains((byte)0) || !Utf8.IsValid(text)) return null;
            text = WithoutCarriageReturns(text);
            spool.Write(text);
            hash.AppendData(text);
            carried = filled - usable;
            _buffer.AsSpan(usable, carried).CopyTo(_buffer);
        }

        return hash.GetHashAndReset();
    }

    private bool TryFill(Stream stream, int from, out int filled)
    {
        try
        {
            filled = from + stream.ReadAtLeast(_buffer.AsSpan(from), _buffer.Length - from, throwOnEndOfStream: false);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            filled = 0;
            return false;
        }
    }

    private static int OpenEnd(ReadOnlySpan<byte> bytes)
    {
        if (bytes[^1] == (byte)'\r') return 1;
        for (int back = 1; back <= 3; back++)
        {
            byte value = bytes[^back];
            if ((value & 0xC0) == 0x80) continue;
            int length = value >= 0xF0 ? 4 : value >= 0xE0 ? 3 : value >= 0xC0 ? 2 : 1;
            return length > back ? back : 0;
        }

        return 0;
    }

    private static Span<byte> WithoutCarriageReturns(Span<byte> text)
    {
        int to = text.IndexOf("\r\n"u8);
        if (to < 0) return text;
        for (int from = to; from < text.Length; from++)
        {
            if (text[from] == (byte)'\r' && from + 1 < text.Length && text[from + 1] == (byte)'\n') continue;
            text[to++] = text[from];
        }

        return text[..to];
    }
}
