using System.Text.Json.Nodes;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.Artifacts.Tests;

public sealed class ArtifactStoreTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(Noon);
    private readonly ArtifactStore _store;

    public ArtifactStoreTests() => _store = new ArtifactStore(_folder.Path, _time);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task PutAsync_Files_AreReadBackWithProvenance()
    {
        StoredArtifact input = await PutAsync("corpus", ("corpus.json", "{}"));
        var provenance = new ArtifactProvenance(
            "SparseTraining", new Dictionary<string, string> { ["corpus"] = input.Digest }, new JsonObject { ["steps"] = 3 }, 7);

        StoredArtifact put = await _store.PutAsync("model", provenance, Writing(("b/weights.bin", "weights"), ("a.json", "{}")), Ct);
        StoredArtifact got = await new ArtifactStore(_folder.Path).GetAsync(put.Digest, Ct);

        got.Kind.ShouldBe("model");
        got.Files.Select(f => (f.Path, f.SizeBytes)).ShouldBe([("a.json", 2L), ("b/weights.bin", 7L)]);
        got.CreateTime.ShouldBe(Noon);
        got.Provenance.Maker.ShouldBe("SparseTraining");
        got.Provenance.Inputs["corpus"].ShouldBe(input.Digest);
        got.Provenance.Config.ToJsonString().ShouldBe("""{"steps":3}""");
        got.Provenance.Seed.ShouldBe(7);
        got.Provenance.CodeVersion.ShouldNotBeEmpty();
        got.Provenance.Machine.ShouldContain(Environment.MachineName);
        (await File.ReadAllTextAsync(_store.GetPath(got, "b/weights.bin"), Ct)).ShouldBe("weights");
        await _store.VerifyAsync(got, Ct);
    }

    [Fact]
    public async Task PutAsync_KnownContent_HasItsKnownDigests()
    {
        StoredArtifact artifact = await PutAsync("report", ("a", "abc"));

        // sha256("abc"), FIPS 180-2; and sha256sum over the three lines that stand for the artifact.
        artifact.Files[0].Digest.ShouldBe("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        artifact.Digest.ShouldBe("sha256:e0785658f5191ee186a8edf65030aa4b6707ad9f81bdd2ba8c6765110b2da23c");
    }

    [Fact]
    public async Task PutAsync_EqualContentOfAnotherMaker_IsTheSameArtifact()
    {
        StoredArtifact first = await PutAsync("model", ("w", "1"), ("copy", "1"));
        string[] before = _folder.Files();
        _time.Advance(TimeSpan.FromHours(1));

        StoredArtifact second = await _store.PutAsync("model", Provenance() with { Maker = "other" }, Writing(("copy", "1"), ("w", "1")), Ct);

        second.Digest.ShouldBe(first.Digest);
        second.Provenance.Maker.ShouldBe(first.Provenance.Maker);
        second.CreateTime.ShouldBe(Noon);
        _folder.Files().ShouldBe(before);
    }

    [Fact]
    public async Task PutAsync_OtherKindPathOrBytes_IsAnotherArtifact()
    {
        string[] digests =
        [
            (await PutAsync("model", ("w", "1"))).Digest,
            (await PutAsync("bridge", ("w", "1"))).Digest,
            (await PutAsync("model", ("v", "1"))).Digest,
            (await PutAsync("model", ("w", "2"))).Digest,
        ];

        digests.ShouldBeUnique();
    }

    [Fact]
    public async Task PutAsync_DamagedBlob_IsRepaired()
    {
        StoredArtifact artifact = await PutAsync("model", ("w", "right"));
        Overwrite(_store.GetPath(artifact, "w"), "wrong");

        _ = await PutAsync("model", ("w", "right"));

        await _store.VerifyAsync(artifact, Ct);
    }

    [Fact]
    public async Task PutAsync_WriterFails_LeavesNothing()
    {
        string[] before = _folder.Files();

        IOException thrown = await Should.ThrowAsync<IOException>(_store.PutAsync("model", Provenance(), async (folder, ct) =>
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "half"), "half", ct);
            throw new IOException("No space left on device", 28);
        }, Ct));

        thrown.HResult.ShouldBe(28);
        _folder.Files().ShouldBe(before);
        Directory.EnumerateFileSystemEntries(Path.Combine(_folder.Path, "staging")).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(200)]
    public async Task PutAsync_DiskFullInManifest_LeavesNothing(long bytesFree)
    {
        var store = new ArtifactStore(_folder.Path, _time, new FullDisk(bytesFree).Create);

        IOException thrown = await Should.ThrowAsync<IOException>(store.PutAsync("model", Provenance(), Writing(("w", "1")), Ct));

        thrown.HResult.ShouldBe(28);
        _folder.Files().ShouldBeEmpty();
        (await _store.ListGarbageAsync(Ct)).ShouldBeEmpty();
    }

    [Fact]
    public async Task PutAsync_Cancelled_LeavesNothing()
    {
        using var source = new CancellationTokenSource();

        _ = await Should.ThrowAsync<OperationCanceledException>(_store.PutAsync("model", Provenance(), async (folder, ct) =>
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "w"), "1", ct);
            await source.CancelAsync();
        }, source.Token));

        _folder.Files().ShouldBeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("Model")]
    [InlineData("a/b")]
    public async Task PutAsync_MalformedKind_IsRefused(string kind) =>
        (await Should.ThrowAsync<ArgumentException>(PutAsync(kind, ("w", "1")))).ParamName.ShouldBe("kind");

    [Fact]
    public async Task PutAsync_InputThatIsNoDigest_IsRefused()
    {
        ArtifactProvenance provenance = Provenance() with { Inputs = new Dictionary<string, string> { ["corpus"] = "corpora/x" } };

        (await Should.ThrowAsync<ArgumentException>(_store.PutAsync("model", provenance, Writing(("w", "1")), Ct))).Message.ShouldContain("corpora/x");
    }

    [Fact]
    public async Task PutAsync_NoFilesOrALink_IsRefused()
    {
        _ = await Should.ThrowAsync<InvalidOperationException>(PutAsync("model"));
        _ = await Should.ThrowAsync<InvalidOperationException>(_store.PutAsync("model", Provenance(), (folder, _) =>
        {
            File.CreateSymbolicLink(Path.Combine(folder, "passwords"), "/etc/passwd");
            return Task.CompletedTask;
        }, Ct));

        _folder.Files().ShouldBeEmpty();
    }

    [Fact]
    public async Task GetPath_UnknownFile_NamesIt()
    {
        StoredArtifact artifact = await PutAsync("model", ("w", "1"));

        Should.Throw<KeyNotFoundException>(() => _store.GetPath(artifact, "v")).Message.ShouldContain("'v'");
    }

    [Fact]
    public async Task VerifyAsync_ChangedOrMissingBytes_NamesTheFile()
    {
        StoredArtifact artifact = await PutAsync("model", ("config.json", "{}"), ("model.safetensors", "weights"));
        Overwrite(_store.GetPath(artifact, "model.safetensors"), "Weights");
        (await Should.ThrowAsync<InvalidDataException>(_store.VerifyAsync(artifact, Ct))).Message.ShouldContain("model.safetensors");
        (await Should.ThrowAsync<InvalidDataException>(_store.VerifyAsync(artifact, "model.safetensors", Ct))).Message.ShouldContain(artifact.Digest);
        (await Should.ThrowAsync<InvalidDataException>(_store.ReadAsync(artifact, "model.safetensors", Ct))).Message.ShouldContain(artifact.Digest);
        await _store.VerifyAsync(artifact, "config.json", Ct);
        (await _store.ReadAsync(artifact, "config.json", Ct)).ShouldBe("{}"u8.ToArray());
        await Should.ThrowAsync<KeyNotFoundException>(_store.VerifyAsync(artifact, "none", Ct));

        File.Delete(_store.GetPath(artifact, "config.json"));
        (await Should.ThrowAsync<InvalidDataException>(_store.VerifyAsync(artifact, Ct))).Message.ShouldContain("config.json");
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{}")]
    public async Task GetAsync_DamagedManifest_NamesTheFile(string text)
    {
        StoredArtifact artifact = await PutAsync("model", ("w", "1"));
        string path = Directory.EnumerateFiles(Path.Combine(_folder.Path, "manifests")).Single();
        Overwrite(path, text);

        (await Should.ThrowAsync<InvalidDataException>(_store.GetAsync(artifact.Digest, Ct))).Message.ShouldContain(path);
    }

    [Fact]
    public async Task GetAsync_ManifestOfOtherFiles_IsRefused()
    {
        StoredArtifact artifact = await PutAsync("model", ("w", "1"));
        string path = Directory.EnumerateFiles(Path.Combine(_folder.Path, "manifests")).Single();
        string text = await File.ReadAllTextAsync(path, Ct);
        Overwrite(path, text.Replace("\"w\"", "\"v\"", StringComparison.Ordinal));

        _ = await Should.ThrowAsync<InvalidDataException>(_store.GetAsync(artifact.Digest, Ct));
    }

    [Fact]
    public async Task ListAsync_IsNewestFirstAndFiltersByKind()
    {
        StoredArtifact first = await PutAsync("model", ("w", "1"));
        _time.Advance(TimeSpan.FromSeconds(1));
        StoredArtifact corpus = await PutAsync("corpus", ("w", "1"));
        _time.Advance(TimeSpan.FromSeconds(1));
        StoredArtifact last = await PutAsync("model", ("w", "2"));

        (await _store.ListAsync(null, Ct)).Select(a => a.Digest).ShouldBe([last.Digest, corpus.Digest, first.Digest]);
        (await _store.ListAsync("model", Ct)).Select(a => a.Digest).ShouldBe([last.Digest, first.Digest]);
        (await _store.ListAsync("bridge", Ct)).ShouldBeEmpty();
    }

    [Fact]
    public async Task PutAsync_ManyWritersOfSharedContent_AllSucceed()
    {
        var other = new ArtifactStore(_folder.Path);

        StoredArtifact[] artifacts = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => Task.Run(
            () => (i % 2 == 0 ? _store : other).PutAsync("model", Provenance(), Writing(("w", $"{i % 3}"), ("shared", "1")), Ct), Ct)));

        artifacts.Select(a => a.Digest).Distinct().Count().ShouldBe(3);
        foreach (StoredArtifact artifact in artifacts) await _store.VerifyAsync(artifact, Ct);
        Directory.EnumerateFileSystemEntries(Path.Combine(_folder.Path, "staging")).ShouldBeEmpty();
    }

    private static ArtifactProvenance Provenance() => new("test", new Dictionary<string, string>(), [], null);

    private static Func<string, CancellationToken, Task> Writing(params (string Path, string Text)[] files) => async (folder, ct) =>
    {
        foreach ((string path, string text) in files)
        {
            string target = Path.Combine(folder, path);
            _ = Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            await File.WriteAllTextAsync(target, text, ct);
        }
    };

    private static void Overwrite(string path, string text)
    {
        File.Delete(path);
        File.WriteAllText(path, text);
    }

    private Task<StoredArtifact> PutAsync(string kind, params (string Path, string Text)[] files) =>
        _store.PutAsync(kind, Provenance(), Writing(files), Ct);
}
