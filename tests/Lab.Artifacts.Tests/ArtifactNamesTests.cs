using Lab.Testing;

namespace Lab.Artifacts.Tests;

/// <summary>Names of artifacts, through the store.</summary>
public sealed class ArtifactNamesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ArtifactStore _store;

    public ArtifactNamesTests() => _store = new ArtifactStore(_folder.Path);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task SetNameAsync_DiskFull_KeepsOldTarget()
    {
        StoredArtifact first = await PutAsync("1");
        StoredArtifact second = await PutAsync("2");
        await _store.SetNameAsync("models/a", first.Digest, Ct);
        string[] before = _folder.Files();
        var store = new ArtifactStore(_folder.Path, TimeProvider.System, new FullDisk(10).Create);

        _ = await Should.ThrowAsync<IOException>(store.SetNameAsync("models/a", second.Digest, Ct));

        (await _store.GetAsync("models/a", Ct)).Digest.ShouldBe(first.Digest);
        _folder.Files().ShouldBe(before);
    }

    [Fact]
    public async Task GetAsync_Unknown_NamesIt()
    {
        (await Should.ThrowAsync<KeyNotFoundException>(_store.GetAsync("models/none", Ct))).Message.ShouldContain("models/none");
        string digest = "sha256:" + new string('0', 64);
        (await Should.ThrowAsync<KeyNotFoundException>(_store.GetAsync(digest, Ct))).Message.ShouldContain(digest);
        (await _store.FindAsync("models/none", Ct)).ShouldBeNull();
    }

    [Theory]
    [InlineData("")]
    [InlineData("../escape")]
    [InlineData("/models/a")]
    [InlineData("models//a")]
    [InlineData("models/a\n")]
    [InlineData("models/..")]
    [InlineData("a+b")]
    [InlineData("sha256:abc")]
    public async Task GetAsync_MalformedName_IsRefused(string name) =>
        _ = await Should.ThrowAsync<ArgumentException>(_store.GetAsync(name, Ct));

    [Fact]
    public async Task SetNameAsync_MovesTheNameAndArtifactsListTheirs()
    {
        StoredArtifact first = await PutAsync("1");
        StoredArtifact second = await PutAsync("2");
        await _store.SetNameAsync("models/a", first.Digest, Ct);
        await _store.SetNameAsync("models/b", first.Digest, Ct);
        await _store.SetNameAsync("models", first.Digest, Ct);

        await _store.SetNameAsync("models/a", second.Digest, Ct);

        (await _store.GetAsync("models/a", Ct)).Digest.ShouldBe(second.Digest);
        (await _store.GetAsync(first.Digest, Ct)).Names.ShouldBe(["models", "models/b"]);
    }

    [Fact]
    public async Task SetNameAsync_UnknownDigest_IsRefused() =>
        _ = await Should.ThrowAsync<KeyNotFoundException>(_store.SetNameAsync("models/a", "sha256:" + new string('0', 64), Ct));

    private Task<StoredArtifact> PutAsync(string text) => _store.PutAsync(
        "model",
        new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
        (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "w"), text, ct),
        Ct);
}
