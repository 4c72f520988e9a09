using Lab.Testing;

namespace Lab.Artifacts.Tests;

public sealed class GarbageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ArtifactStore _store;

    public GarbageTests() => _store = new ArtifactStore(_folder.Path);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ListGarbageAsync_NamedArtifactAndItsInputs_AreNoGarbage()
    {
        StoredArtifact corpus = await PutAsync("corpus", "tokens");
        StoredArtifact model = await PutAsync("model", "weights", corpus);
        StoredArtifact circuit = await PutAsync("circuit", "nodes", model);
        await _store.SetNameAsync("circuits/quotes", circuit.Digest, Ct);

        (await _store.ListGarbageAsync(Ct)).ShouldBeEmpty();
    }

    [Fact]
    public async Task ListGarbageAsync_ArtifactThatNoNameReaches_IsListedWithItsOwnBytes()
    {
        StoredArtifact corpus = await PutAsync("corpus", "tokens");
        StoredArtifact model = await PutAsync("model", "weights", corpus);
        StoredArtifact sameBytes = await PutAsync("statistics", "tokens");
        await _store.SetNameAsync("corpora/quotes", corpus.Digest, Ct);

        IReadOnlyList<GarbageItem> garbage = await _store.ListGarbageAsync(Ct);

        garbage.ShouldAllBe(g => g.Kind == GarbageKind.UnreachableArtifact && File.Exists(g.Path));
        garbage.ToDictionary(g => Path.GetFileNameWithoutExtension(g.Path), g => g.SizeBytes).ShouldBe(new Dictionary<string, long>
        {
            [model.Digest["sha256:".Length..]] = "weights".Length,
            [sameBytes.Digest["sha256:".Length..]] = 0,
        }, ignoreOrder: true);
    }

    [Fact]
    public async Task ListGarbageAsync_LeftoversOfKilledProcesses_AreListed()
    {
        string staging = Path.Combine(_folder.Path, "staging", "dead");
        _ = Directory.CreateDirectory(Path.Combine(staging, "files"));
        await File.WriteAllTextAsync(Path.Combine(staging, "lock"), "", Ct);
        await File.WriteAllTextAsync(Path.Combine(staging, "files", "half"), "half", Ct);
        string name = Path.Combine(_folder.Path, "names", "models+a.123.tmp");
        await File.WriteAllTextAsync(name, "sha", Ct);
        string blob = Path.Combine(_folder.Path, "blobs", "ab", "abcd");
        _ = Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        await File.WriteAllTextAsync(blob, "bytes", Ct);

        (await _store.ListGarbageAsync(Ct)).ShouldBe(
        [
            new GarbageItem(name, 3, GarbageKind.BrokenWrite),
            new GarbageItem(staging, 4, GarbageKind.BrokenWrite),
            new GarbageItem(blob, 5, GarbageKind.UnreferencedBlob),
        ]);
    }

    [Fact]
    public async Task ListGarbageAsync_DuringAWrite_LeavesItAlone()
    {
        IReadOnlyList<GarbageItem>? during = null;
        StoredArtifact artifact = await _store.PutAsync("model", new ArtifactProvenance("test", new Dictionary<string, string>(), [], null), async (folder, ct) =>
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "w"), "1", ct);
            during = await new ArtifactStore(_folder.Path).ListGarbageAsync(ct);
        }, Ct);

        during.ShouldBeEmpty();
        await _store.VerifyAsync(artifact, Ct);
    }

    private Task<StoredArtifact> PutAsync(string kind, string text, params StoredArtifact[] inputs) => _store.PutAsync(
        kind,
        new ArtifactProvenance("test", inputs.ToDictionary(i => i.Kind, i => i.Digest), [], null),
        (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "data"), text, ct),
        Ct);
}
