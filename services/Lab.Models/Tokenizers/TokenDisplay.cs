using System.Buffers;
using System.Text;

namespace Lab.Models.Tokenizers;

/// <summary>Shows the bytes of a token.</summary>
internal static class TokenDisplay
{
    /// <summary>Bytes as text, those that are not UTF-8 as <c>&lt;0xE2&gt;</c>.</summary>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        while (!bytes.IsEmpty)
        {
            bool isValid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int consumed) == OperationStatus.Done;
            if (!isValid) consumed = 1;
            _ = isValid ? text.Append(rune.ToString()) : text.Append($"<0x{bytes[0]:X2}>");
            bytes = bytes[consumed..];
        }

        return text.ToString();
    }
}
