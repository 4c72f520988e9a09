using System.Text;
using System.Text.Unicode;

namespace Lab.SparseTraining.Corpora;

/// <summary>Tells text from other files.</summary>
internal static class TextDecoder
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>The text, without a byte order mark and with LF for CRLF, or null for bytes that are binary (hold NUL) or not UTF-8.</summary>
    public static string? Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.StartsWith(ByteOrderMark)) bytes = bytes[ByteOrderMark.Length..];
        if (bytes.Contains((byte)0) || !Utf8.IsValid(bytes)) return null;
        return Encoding.UTF8.GetString(bytes).Replace("\r\n", "\n", StringComparison.Ordinal);
    }

    /// <summary>The longest beginning of at most <paramref name="maxBytes"/> bytes of UTF-8, cut after a line if there is one.</summary>
    public static ReadOnlySpan<byte> Truncate(ReadOnlySpan<byte> utf8, long maxBytes)
    {
        if (utf8.Length <= maxBytes) return utf8;
        int end = (int)maxBytes;
        int line = utf8[..end].LastIndexOf((byte)'\n');
        if (line >= 0) return utf8[..(line + 1)];
        while (end > 0 && (utf8[end] & 0xC0) == 0x80) end--;
        return utf8[..end];
    }
}
