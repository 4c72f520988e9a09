using System.IO.Enumeration;
using System.Text;

namespace Lab.SparseTraining.Corpora;

/// <summary>The files of a folder that some patterns describe. Links to folders are not followed.</summary>
internal sealed class FolderDocuments : IDocumentSource
{
    private const string DefaultPattern = "**/*.py";

    private static readonly EnumerationOptions _everything = new() { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = true };

    private readonly List<FoundFile> _files;

    /// <summary>Lists the files.</summary>
    /// <param name="kind">What corpus.json calls the source.</param>
    /// <param name="source">Which files of it.</param>
    /// <param name="excluded">Names of folders that are left out, with all below them.</param>
    /// <param name="seed">Decides the order.</param>
    /// <param name="ct">Stops the listing.</param>
    /// <exception cref="ArgumentException">There is no such folder, or a pattern is malformed.</exception>
    public FolderDocuments(string kind, FolderSource source, IReadOnlySet<string> excluded, long seed, CancellationToken ct)
    {
        source.Validate();
        (Kind, Folder) = (kind, Path.GetFullPath(source.Path));
        IReadOnlyList<string> patterns = source.Patterns.Count == 0 ? [DefaultPattern] : source.Patterns;
        GlobPattern[] globs = [.. patterns.Select(pattern => new GlobPattern(pattern, $"{source.Field}.patterns"))];
        GlobPattern[] without = [.. source.Exclude.Select(pattern => new GlobPattern(pattern, $"{source.Field}.exclude"))];
        _files = [.. Find(Folder, excluded, ct).Where(file => globs.Any(glob => glob.IsMatch(file.RelativePath)) && !without.Any(glob => glob.IsMatch(file.RelativePath)))
            .OrderBy(file => SeededHash.Of(seed, Encoding.UTF8.GetBytes(file.RelativePath))).ThenBy(file => file.RelativePath, StringComparer.Ordinal)];
        Description = $"{string.Join(", ", patterns)} in {Folder}{(source.Exclude.Count > 0 ? " without " + string.Join(", ", source.Exclude) : "")}";
    }

    /// <inheritdoc/>
    public string Kind { get; }

    /// <inheritdoc/>
    public string Description { get; init; }

    /// <summary>The folder's absolute path.</summary>
    public string Folder { get; }

    /// <inheritdoc/>
    public long TotalBytes => _files.Sum(file => file.Length);

    /// <inheritdoc/>
    public IEnumerable<Stream?> Read(CancellationToken ct) => ReadNamed(ct).Select(file => file.Stream);

    /// <summary>Opens the files one by one, each with its path relative to the folder.</summary>
    public IEnumerable<(string Path, Stream? Stream)> ReadNamed(CancellationToken ct)
    {
        foreach (FoundFile file in _files)
        {
            ct.ThrowIfCancellationRequested();
            yield return (file.RelativePath, TryOpen(Path.Combine(Folder, file.RelativePath)));
        }
    }

    private static FileStream? TryOpen(string path)
    {
        try
        {
            // Read in large steps already, so without a buffer of its own.
            return new FileStream(path, new FileStreamOptions { Options = FileOptions.SequentialScan, BufferSize = 0 });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Empty files are left out here; so are pipes and devices, which have no length and would block.
    private static FileSystemEnumerable<FoundFile> Find(string folder, IReadOnlySet<string> excluded, CancellationToken ct) =>
        new(folder, (ref entry) => new FoundFile(Relative(folder, entry.ToFullPath()), LengthOf(ref entry)), _everything)
        {
            ShouldIncludePredicate = (ref entry) =>
            {
                ct.ThrowIfCancellationRequested();
                return !entry.IsDirectory && LengthOf(ref entry) > 0;
            },
            ShouldRecursePredicate = (ref entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0 && !excluded.Contains(entry.FileName.ToString()),
        };

    // That of a link is its target's, which may be a pipe. A link to nothing keeps its own: it is found to be unreadable later on.
    private static long LengthOf(ref FileSystemEntry entry)
    {
        if ((entry.Attributes & FileAttributes.ReparsePoint) == 0) return entry.Length;
        try
        {
            return File.ResolveLinkTarget(entry.ToFullPath(), returnFinalTarget: true) is FileInfo { Exists: true } target ? target.Length : entry.Length;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return entry.Length;
        }
    }

    private static string Relative(string folder, string path) => Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/');

    private readonly record struct FoundFile(string RelativePath, long Length);
}
