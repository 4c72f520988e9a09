using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>One step from the written tokens of a sequence to its text.</summary>
internal abstract class TokenDecoder
{
    /// <summary>Changes the strings in place; the text is all of them joined.</summary>
    public abstract void Decode(List<string> parts);
}

/// <summary>Reads GPT-2's byte alphabet. A token that is not written in it stands for itself.</summary>
internal sealed class ByteLevelDecoder : TokenDecoder
{
    public override void Decode(List<string> parts)
    {
        var bytes = new List<byte>();
        foreach (string part in parts)
        {
            int before = bytes.Count;
            foreach (char c in part)
            {
                if (ByteAlphabet.TryGetByte(c, out byte value))
                {
                    bytes.Add(value);
                    continue;
                }

                bytes.RemoveRange(before, bytes.Count - before);
                bytes.AddRange(Encoding.UTF8.GetBytes(part));
                break;
            }
        }

        parts.Clear();
        parts.Add(Encoding.UTF8.GetString([.. bytes]));
    }
}

/// <summary>Reads <c>&lt;0xE2&gt;</c> tokens: a run of them is text if it is UTF-8 as a whole, else U+FFFD for each.</summary>
internal sealed class ByteFallbackDecoder : TokenDecoder
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public override void Decode(List<string> parts)
    {
        var bytes = new List<byte>();
        int to = 0;
        for (int from = 0; from < parts.Count; from++)
        {
            if (TryRead(parts[from], out byte value))
            {
                bytes.Add(value);
                continue;
            }

            string part = parts[from];
            if (bytes.Count > 0) parts[to++] = Read(bytes);
            parts[to++] = part;
        }

        if (bytes.Count > 0) parts[to++] = Read(bytes);
        parts.RemoveRange(to, parts.Count - to);
    }

    /// <summary>Whether a token is written as a byte, and which.</summary>
    public static bool TryRead(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out value);
    }

    private static string Read(List<byte> bytes)
    {
        byte[] read = [.. bytes];
        bytes.Clear();
        try
        {
            return _strict.GetString(read);
        }
        catch (DecoderFallbackException)
        {
            return new string('\uFFFD', read.Length);
        }
    }
}

/// <summary>Puts a string in place of another.</summary>
internal sealed class ReplaceDecoder(string old, string replacement) : TokenDecoder
{
    public override void Decode(List<string> parts)
    {
        for (int i = 0; i < parts.Count; i++) parts[i] = parts[i].Replace(old, replacement, StringComparison.Ordinal);
    }
}

/// <summary>Joins all strings to one.</summary>
internal sealed class FuseDecoder : TokenDecoder
{
    public override void Decode(List<string> parts)
    {
        string text = string.Concat(parts);
        parts.Clear();
        parts.Add(text);
    }
}

/// <summary>Takes a character away from the start and the end of each string, at most so many times.</summary>
internal sealed class StripDecoder(char character, int start, int stop) : TokenDecoder
{
    public override void Decode(List<string> parts)
    {
        for (int i = 0; i < parts.Count; i++)
        {
            string part = parts[i];
            int from = 0;
            int to = part.Length;
            while (from < start && from < to && part[from] == character) from++;
            while (part.Length - to < stop && to > from && part[to - 1] == character) to--;
            parts[i] = part[from..to];
        }
    }
}

/// <summary>Undoes <see cref="MetaspacePreTokenizer"/>.</summary>
internal sealed class MetaspaceDecoder(char replacement, bool hasPrefix) : TokenDecoder
{
    public override void Decode(List<string> parts)
    {
        for (int i = 0; i < parts.Count; i++)
        {
            string part = parts[i];
            if (i == 0 && hasPrefix) part = part.Replace(replacement.ToString(), "", StringComparison.Ordinal);
            parts[i] = part.Replace(replacement, ' ');
        }
    }
}
