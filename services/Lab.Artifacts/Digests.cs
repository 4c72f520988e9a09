using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace Lab.Artifacts;

/// <summary>Digests in the form "sha256:" and 64 lower-case hexadecimal digits.</summary>
internal static class Digests
{
    private const string Prefix = "sha256:";
    private const int HexLength = 64;
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    public static bool IsDigest(string text) =>
        text.StartsWith(Prefix, StringComparison.Ordinal)
        && text.Length == Prefix.Length + HexLength
        && text.AsSpan(Prefix.Length).IndexOfAnyExcept(HexDigits) < 0;

    public static string Hex(string digest) => digest[Prefix.Length..];

    public static string FromHex(string hex) => Prefix + hex;

    public static async Task<string> OfStreamAsync(Stream stream, CancellationToken ct) =>
        Prefix + Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, ct));

    public static string OfBytes(ReadOnlySpan<byte> bytes) => Prefix + Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>The digest of an artifact: over its kind and its files, which must be in ordinal order of path.</summary>
    public static string OfArtifact(string kind, IEnumerable<StoredFile> files)
    {
        // Paths have no control characters and digests no spaces, so lines are unambiguous.
        var text = new StringBuilder("lab artifact 1\n").Append(kind).Append('\n');
        foreach (StoredFile file in files)
            text.Append(file.Digest).Append(' ').Append(file.SizeBytes).Append(' ').Append(file.Path).Append('\n');
        return Prefix + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}
