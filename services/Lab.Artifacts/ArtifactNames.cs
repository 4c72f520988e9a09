using System.Text;
using System.Text.RegularExpressions;

namespace Lab.Artifacts;

/// <summary>The names of a store: one small file a name, in one folder, that holds a digest.</summary>
internal sealed partial class ArtifactNames(string folder, Func<string, Stream> create)
{
    // '/' cannot be in a file name and '+' cannot be in a name. Flat, so that "models" and "models/a" never clash.
    private const char Separator = '/';
    private const char StoredSeparator = '+';

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,3}$", RegexOptions.NonBacktracking)]
    private static partial Regex NamePattern { get; }

    public static void Validate(string name, string parameter)
    {
        if (!NamePattern.IsMatch(name) || name.EndsWith('\n') || name.EndsWith(AtomicFile.TemporarySuffix, StringComparison.Ordinal))
            throw new ArgumentException(
                $"'{name}' is neither a digest (sha256: and 64 lower-case hexadecimal digits) nor a name (1 to 4 parts joined by '/', each of letters, digits, '.', '_' and '-', beginning with a letter or digit).",
                parameter);
    }

    public Task SetAsync(string name, string digest, CancellationToken ct) =>
        AtomicFile.WriteAsync(create, PathOf(name), Encoding.ASCII.GetBytes(digest), ct);

    public async Task<string?> ResolveAsync(string name, CancellationToken ct)
    {
        try
        {
            return await ReadAsync(PathOf(name), ct);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Digest to the names that point at it.</summary>
    public async Task<ILookup<string, string>> AllAsync(CancellationToken ct)
    {
        var names = new List<(string Digest, string Name)>();
        foreach (string path in Directory.EnumerateFiles(folder).Where(p => !IsTemporary(p)))
            names.Add((await ReadAsync(path, ct), Path.GetFileName(path).Replace(StoredSeparator, Separator)));
        return names.OrderBy(n => n.Name, StringComparer.Ordinal).ToLookup(n => n.Digest, n => n.Name);
    }

    /// <summary>What broken writes of names left.</summary>
    public IEnumerable<string> Leftovers() => Directory.EnumerateFiles(folder).Where(p => IsTemporary(p) && !AtomicFile.IsBeingWritten(p));

    private static bool IsTemporary(string path) => path.EndsWith(AtomicFile.TemporarySuffix, StringComparison.Ordinal);

    private static async Task<string> ReadAsync(string path, CancellationToken ct)
    {
        string digest = await File.ReadAllTextAsync(path, ct);
        return Digests.IsDigest(digest) ? digest : throw new InvalidDataException($"The name file {path} does not hold a digest.");
    }

    private string PathOf(string name) => Path.Combine(folder, name.Replace(Separator, StoredSeparator));
}
