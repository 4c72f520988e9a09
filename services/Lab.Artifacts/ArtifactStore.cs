using System.Text.RegularExpressions;

namespace Lab.Artifacts;

/// <summary>
/// The content-addressed store of corpora, tokenizers, models, bridges, circuits and reports in a folder. Artifacts are immutable; names
/// point at them. Any number of processes may share the folder: every write becomes visible by a rename, so a crash leaves the whole
/// artifact or none. Thread-safe.
/// </summary>
/// <remarks>
/// The folder holds <c>blobs/ab/{hex}</c> (the bytes of files, by their digest), <c>manifests/{hex}.json</c>, <c>names/</c> and
/// <c>staging/</c> (writes in progress).
/// </remarks>
public sealed partial class ArtifactStore
{
    private readonly TimeProvider _time;
    private readonly Func<string, Stream> _create;
    private readonly ArtifactNames _names;
    private readonly string _blobs;
    private readonly string _manifests;
    private readonly string _staging;
    private readonly string _namesFolder;

    /// <summary>Opens the store, and creates its folder where there is none.</summary>
    /// <param name="root">The store's folder, "{data}/artifacts".</param>
    /// <param name="time">The clock of create times; the system's by default.</param>
    public ArtifactStore(string root, TimeProvider? time = null)
        : this(root, time ?? TimeProvider.System, AtomicFile.Create)
    {
    }

    /// <param name="create">Opens the files that the store itself writes. A seam: tests put a full disk in its place.</param>
    internal ArtifactStore(string root, TimeProvider time, Func<string, Stream> create)
    {
        _time = time;
        _create = create;
        Root = Path.GetFullPath(root);
        _blobs = Directory.CreateDirectory(Path.Combine(Root, "blobs")).FullName;
        _manifests = Directory.CreateDirectory(Path.Combine(Root, "manifests")).FullName;
        _staging = Directory.CreateDirectory(Path.Combine(Root, "staging")).FullName;
        _namesFolder = Directory.CreateDirectory(Path.Combine(Root, "names")).FullName;
        _names = new ArtifactNames(_namesFolder, create);
    }

    /// <summary>The store's folder, absolute.</summary>
    public string Root { get; }

    [GeneratedRegex("^[a-z][a-z0-9-]{0,62}$", RegexOptions.NonBacktracking)]
    private static partial Regex KindPattern { get; }

    /// <summary>
    /// Stores an artifact. Content that the store already has is not stored twice: the artifact that is there comes back, with the
    /// provenance of its first maker.
    /// </summary>
    /// <param name="kind">What it is: a lower-case word such as "model".</param>
    /// <param name="provenance">What makes it.</param>
    /// <param name="write">Fills the empty folder that it is given; subfolders are kept. Its exceptions pass through.</param>
    /// <param name="ct">Cancels the write.</param>
    /// <exception cref="ArgumentException">The kind or an input's digest is malformed.</exception>
    /// <exception cref="InvalidOperationException">The folder was left empty, or holds a link or a path with control characters.</exception>
    /// <exception cref="IOException">The disk is full, for instance. As with every exception, nothing is left behind.</exception>
    public async Task<StoredArtifact> PutAsync(
        string kind, ArtifactProvenance provenance, Func<string, CancellationToken, Task> write, CancellationToken ct)
    {
        if (!KindPattern.IsMatch(kind)) throw new ArgumentException($"'{kind}' is not a kind: lower-case letters, digits and '-', beginning with a letter.", nameof(kind));
        foreach ((string role, string input) in provenance.Inputs)
        {
            if (!Digests.IsDigest(input)) throw new ArgumentException($"The input '{role}' is '{input}', which is not a digest.", nameof(provenance));
        }

        using var staging = new StagingFolder(_staging);
        await write(staging.Files, ct);
        StoredFile[] files = await MeasureAsync(staging.Files, ct);
        string digest = Digests.OfArtifact(kind, files);
        string manifestPath = ManifestPath(digest);
        Manifest? manifest = await Manifest.ReadAsync(manifestPath, ct);
        bool isNew = manifest is null;
        manifest ??= new Manifest(digest, kind, _time.GetUtcNow(), files, provenance.Completed());

        // All that takes space is on disk before the first rename, and the manifest is renamed last. Files are renamed even over
        // files of their digest, which repairs any that were damaged.
        if (isNew) await AtomicFile.WriteDurablyAsync(_create, staging.Manifest, manifest.ToBytes(), ct);
        foreach (StoredFile file in files)
            Publish(Path.Combine(staging.Files, file.Path), BlobPath(file.Digest));
        if (isNew) File.Move(staging.Manifest, manifestPath, overwrite: true);
        return ToArtifact(manifest, await _names.AllAsync(ct));
    }

    /// <summary>Gets an artifact.</summary>
    /// <param name="nameOrDigest">"models/quotes-sparse" or "sha256:...".</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="ArgumentException">It is neither a name nor a digest.</exception>
    /// <exception cref="KeyNotFoundException">There is none; the message names it.</exception>
    /// <exception cref="InvalidDataException">Its manifest is damaged; the message names the file.</exception>
    public async Task<StoredArtifact> GetAsync(string nameOrDigest, CancellationToken ct) =>
        await FindAsync(nameOrDigest, ct) ?? throw new KeyNotFoundException($"There is no artifact '{nameOrDigest}'.");

    /// <summary>Gets an artifact, or null if there is none.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public async Task<StoredArtifact?> FindAsync(string nameOrDigest, CancellationToken ct)
    {
        string? digest = nameOrDigest;
        if (!Digests.IsDigest(nameOrDigest))
        {
            ArtifactNames.Validate(nameOrDigest, nameof(nameOrDigest));
            digest = await _names.ResolveAsync(nameOrDigest, ct);
        }

        Manifest? manifest = digest is null ? null : await Manifest.ReadAsync(ManifestPath(digest), ct);
        return manifest is null ? null : ToArtifact(manifest, await _names.AllAsync(ct));
    }

    /// <summary>The absolute path of the immutable bytes of one of the artifact's files. To be read only.</summary>
    /// <exception cref="KeyNotFoundException">The artifact has no such file.</exception>
    public string GetPath(StoredArtifact artifact, string file) =>
        BlobPath((artifact.Files.FirstOrDefault(f => f.Path == file)
            ?? throw new KeyNotFoundException($"The artifact {artifact.Digest} ({artifact.Kind}) has no file '{file}'.")).Digest);

    /// <summary>Reads every byte of the artifact and compares its digests.</summary>
    /// <exception cref="InvalidDataException">A file is missing or its bytes changed; the message names the file.</exception>
    public async Task VerifyAsync(StoredArtifact artifact, CancellationToken ct)
    {
        foreach (StoredFile file in artifact.Files) await VerifyAsync(artifact, file.Path, ct);
    }

    /// <summary>Reads every byte of one of the artifact's files and compares its digest.</summary>
    /// <exception cref="KeyNotFoundException">The artifact has no such file.</exception>
    /// <exception cref="InvalidDataException">It is missing or its bytes changed; the message names artifact and file.</exception>
    public async Task VerifyAsync(StoredArtifact artifact, string file, CancellationToken ct)
    {
        string path = RequireBlob(artifact, file);
        await using FileStream stream = File.OpenRead(path);
        Require(await Digests.OfStreamAsync(stream, ct), artifact, file, path);
    }

    /// <summary>Reads one of the artifact's files, at most 2 GiB, into memory and compares its digest.</summary>
    /// <inheritdoc cref="VerifyAsync(StoredArtifact, string, CancellationToken)"/>
    public async Task<byte[]> ReadAsync(StoredArtifact artifact, string file, CancellationToken ct)
    {
        string path = RequireBlob(artifact, file);
        byte[] bytes = await File.ReadAllBytesAsync(path, ct);
        Require(Digests.OfBytes(bytes), artifact, file, path);
        return bytes;
    }

    /// <summary>Checks a name before there is anything that it could point at.</summary>
    /// <param name="name">"models/quotes-sparse".</param>
    /// <param name="field">What the exception names.</param>
    /// <exception cref="ArgumentException">It is malformed.</exception>
    public static void ValidateName(string name, string field) => ArtifactNames.Validate(name, field);

    /// <summary>Points a name at an artifact, from now on and instead of what it pointed at before.</summary>
    /// <exception cref="ArgumentException">The name or the digest is malformed.</exception>
    /// <exception cref="KeyNotFoundException">There is no artifact of this digest.</exception>
    public async Task SetNameAsync(string name, string digest, CancellationToken ct)
    {
        ArtifactNames.Validate(name, nameof(name));
        if (!Digests.IsDigest(digest)) throw new ArgumentException($"'{digest}' is not a digest.", nameof(digest));
        _ = await GetAsync(digest, ct);
        await _names.SetAsync(name, digest, ct);
    }

    /// <summary>Lists artifacts, newest first; those of one time by digest.</summary>
    /// <param name="kind">Only those of this kind; null or empty for all.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidDataException">A manifest is damaged; the message names the file.</exception>
    public async Task<IReadOnlyList<StoredArtifact>> ListAsync(string? kind, CancellationToken ct)
    {
        ILookup<string, string> names = await _names.AllAsync(ct);
        var artifacts = new List<StoredArtifact>();
        foreach (string path in Directory.EnumerateFiles(_manifests, "*.json"))
        {
            if (await Manifest.ReadAsync(path, ct) is { } manifest && (string.IsNullOrEmpty(kind) || manifest.Kind == kind))
                artifacts.Add(ToArtifact(manifest, names));
        }

        return [.. artifacts.OrderByDescending(a => a.CreateTime).ThenBy(a => a.Digest, StringComparer.Ordinal)];
    }

    /// <summary>
    /// Lists what could be deleted: leftovers of broken writes, files of no artifact, and artifacts that no name reaches, neither
    /// themselves nor as inputs. Deletes nothing. Writes in progress, of whatever process, are left out; a write that is just
    /// putting its files in place can show here for a moment, so delete only while nothing writes.
    /// </summary>
    public async Task<IReadOnlyList<GarbageItem>> ListGarbageAsync(CancellationToken ct)
    {
        IReadOnlyList<StoredArtifact> artifacts = await ListAsync(null, ct);
        return [.. new GarbageSearch(artifacts, BlobPath, ManifestPath).Find(_blobs, _staging, _names.Leftovers())];
    }

    private static async Task<StoredFile[]> MeasureAsync(string folder, CancellationToken ct)
    {
        var files = new List<StoredFile>();
        foreach (FileInfo file in new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories))
        {
            string path = Path.GetRelativePath(folder, file.FullName).Replace('\\', '/');
            if (file.LinkTarget is not null || path.Any(char.IsControl))
                throw new InvalidOperationException($"'{path}' cannot be a file of an artifact: it is a link, or has control characters in its name.");
            await using FileStream stream = new(file.FullName, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
            files.Add(new StoredFile(path, await Digests.OfStreamAsync(stream, ct), stream.Length));
            RandomAccess.FlushToDisk(stream.SafeFileHandle);
        }

        if (files.Count == 0) throw new InvalidOperationException("An artifact needs at least one file.");
        return [.. files.OrderBy(f => f.Path, StringComparer.Ordinal)];
    }

    private static void Publish(string staged, string blob)
    {
        // Read-only, against programs that edit in place. Windows would then refuse the rename over it.
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(staged, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        File.Move(staged, blob, overwrite: true);
    }

    private static StoredArtifact ToArtifact(Manifest m, ILookup<string, string> names) =>
        new(m.Digest, m.Kind, m.Files, m.CreateTime, m.Provenance, [.. names[m.Digest]]);

    private string RequireBlob(StoredArtifact artifact, string file)
    {
        string path = GetPath(artifact, file);
        return File.Exists(path) ? path : throw new InvalidDataException($"The bytes of '{file}' of the artifact {artifact.Digest} are missing ({path}).");
    }

    private static void Require(string digest, StoredArtifact artifact, string file, string path)
    {
        if (digest != artifact.Files.First(stored => stored.Path == file).Digest)
            throw new InvalidDataException($"The bytes of '{file}' of the artifact {artifact.Digest} have changed ({path}).");
    }

    private string BlobPath(string digest) => Path.Combine(_blobs, Digests.Hex(digest)[..2], Digests.Hex(digest));

    private string ManifestPath(string digest) => Path.Combine(_manifests, Digests.Hex(digest) + ".json");
}
