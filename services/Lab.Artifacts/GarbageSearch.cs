namespace Lab.Artifacts;

/// <summary>Finds what no name needs.</summary>
internal sealed class GarbageSearch(IReadOnlyList<StoredArtifact> artifacts, Func<string, string> blobPath, Func<string, string> manifestPath)
{
    public IEnumerable<GarbageItem> Find(string blobs, string staging, IEnumerable<string> nameLeftovers) =>
        nameLeftovers.Select(p => new GarbageItem(p, new FileInfo(p).Length, GarbageKind.BrokenWrite))
            .Concat(BrokenWrites(staging))
            .Concat(UnreferencedBlobs(blobs))
            .Concat(UnreachableArtifacts());

    private static IEnumerable<GarbageItem> BrokenWrites(string staging) =>
        from folder in Directory.EnumerateDirectories(staging)
        where !StagingFolder.IsLive(folder)
        let size = new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length)
        select new GarbageItem(folder, size, GarbageKind.BrokenWrite);

    private IEnumerable<GarbageItem> UnreferencedBlobs(string blobs)
    {
        HashSet<string> referenced = [.. artifacts.SelectMany(a => a.Files).Select(f => blobPath(f.Digest))];
        return from path in Directory.EnumerateFiles(blobs, "*", SearchOption.AllDirectories)
               where !referenced.Contains(path)
               select new GarbageItem(path, new FileInfo(path).Length, GarbageKind.UnreferencedBlob);
    }

    private IEnumerable<GarbageItem> UnreachableArtifacts()
    {
        HashSet<string> reachable = Reachable();
        HashSet<string> kept = [.. artifacts.Where(a => reachable.Contains(a.Digest)).SelectMany(a => a.Files).Select(f => f.Digest)];
        return from artifact in artifacts
               where !reachable.Contains(artifact.Digest)
               let size = artifact.Files.Where(f => !kept.Contains(f.Digest)).DistinctBy(f => f.Digest).Sum(f => f.SizeBytes)
               select new GarbageItem(manifestPath(artifact.Digest), size, GarbageKind.UnreachableArtifact);
    }

    private HashSet<string> Reachable()
    {
        Dictionary<string, StoredArtifact> byDigest = artifacts.ToDictionary(a => a.Digest);
        HashSet<string> reachable = [];
        var pending = new Stack<string>(artifacts.Where(a => a.Names.Count > 0).Select(a => a.Digest));
        while (pending.TryPop(out string? digest))
        {
            if (!reachable.Add(digest) || !byDigest.TryGetValue(digest, out StoredArtifact? artifact)) continue;
            foreach (string input in artifact.Provenance.Inputs.Values) pending.Push(input);
        }

        return reachable;
    }
}
