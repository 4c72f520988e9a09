using System.Text.Json.Nodes;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Gateway.Artifacts;
using Lab.Protos.Artifact.V1;
using Lab.ServiceDefaults;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Lab.Gateway.Tests.Artifacts;

public sealed class ArtifactEndpointTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    private readonly ArtifactStore _store;
    private PartHost _host = null!;

    public ArtifactEndpointTests() => _store = new ArtifactStore(_folder.Path, _time);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ArtifactService.ArtifactServiceClient Client => new(_host.Channel);

    public async ValueTask InitializeAsync() => _host = await PartHost.StartAsync(
        _folder.Path, builder => builder.AddLabDefaults("Gateway").Services.AddSingleton(_store), app => app.MapGrpcService<ArtifactEndpoint>());

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task GetArtifact_ByNameOrDigest_IsTheStoredOne()
    {
        StoredArtifact stored = await PutAsync("model", "weights");
        await _store.SetNameAsync("models/tiny", stored.Digest, Ct);

        Artifact byName = await Client.GetArtifactAsync(new GetArtifactRequest { Artifact = "models/tiny" }, cancellationToken: Ct);
        Artifact byDigest = await Client.GetArtifactAsync(new GetArtifactRequest { Artifact = stored.Digest }, cancellationToken: Ct);

        byName.ShouldBe(byDigest);
        byName.Kind.ShouldBe("model");
        byName.Names.ShouldBe(["models/tiny"]);
        byName.Files.Single().ShouldBe(new ArtifactFile { Path = "data.bin", Digest = stored.Files[0].Digest, SizeBytes = 7 });
        byName.CreateTime.ToDateTimeOffset().ShouldBe(_time.GetUtcNow());
        byName.Provenance.Fields["maker"].StringValue.ShouldBe("test");
        byName.Provenance.Fields["seed"].NumberValue.ShouldBe(5);
        byName.Provenance.Fields["config"].StructValue.Fields["steps"].NumberValue.ShouldBe(3);
    }

    [Theory]
    [InlineData("models/none", StatusCode.NotFound)]
    [InlineData("", StatusCode.InvalidArgument)]
    [InlineData("../etc/passwd", StatusCode.InvalidArgument)]
    public async Task GetArtifact_BadName_SaysSo(string name, StatusCode expected)
    {
        RpcException fault = await Should.ThrowAsync<RpcException>(Client.GetArtifactAsync(new GetArtifactRequest { Artifact = name }, cancellationToken: Ct).ResponseAsync);

        fault.StatusCode.ShouldBe(expected);
        fault.GetRpcStatus()!.GetDetail<ErrorInfo>().ShouldNotBeNull();
    }

    [Fact]
    public async Task ListArtifacts_InPages_GivesEachOnceNewestFirst()
    {
        for (int i = 0; i < 5; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(i % 2)); // some of one time
            await PutAsync("model", $"model {i}");
        }

        await PutAsync("report", "report");
        List<string> listed = [];
        string token = "";
        do
        {
            ListArtifactsResponse page = await Client.ListArtifactsAsync(new ListArtifactsRequest { PageSize = 2, PageToken = token, Kind = "model" }, cancellationToken: Ct);
            listed.AddRange(page.Artifacts.Select(artifact => artifact.Digest));
            token = page.NextPageToken;
            await PutAsync("model", $"stored while listing {listed.Count}", advance: true);
        }
        while (token.Length > 0);

        listed.Count.ShouldBe(5);
        listed.ShouldBeUnique();
        listed.ShouldBe((await _store.ListAsync("model", Ct)).Select(artifact => artifact.Digest).Where(listed.Contains));
    }

    [Theory]
    [InlineData(-1, "", "page_size")]
    [InlineData(1, "nonsense", "page_token")]
    [InlineData(1, "!", "page_token")]
    public async Task ListArtifacts_BadPage_NamesTheField(int pageSize, string pageToken, string field)
    {
        RpcException fault = await Should.ThrowAsync<RpcException>(
            Client.ListArtifactsAsync(new ListArtifactsRequest { PageSize = pageSize, PageToken = pageToken }, cancellationToken: Ct).ResponseAsync);

        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        fault.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Single().Field.ShouldBe(field);
    }

    [Fact]
    public async Task ListArtifacts_TokenOfAnotherKind_IsRefused()
    {
        await PutAsync("model", "a");
        await PutAsync("model", "b");
        ListArtifactsResponse first = await Client.ListArtifactsAsync(new ListArtifactsRequest { PageSize = 1, Kind = "model" }, cancellationToken: Ct);

        RpcException fault = await Should.ThrowAsync<RpcException>(
            Client.ListArtifactsAsync(new ListArtifactsRequest { PageToken = first.NextPageToken, Kind = "report" }, cancellationToken: Ct).ResponseAsync);

        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task ReadArtifactFile_LargeFile_ComesInChunks()
    {
        byte[] bytes = new byte[(2 * VerifiedFile.ChunkBytes) + 17];
        new Random(1).NextBytes(bytes);
        StoredArtifact stored = await PutAsync("model", bytes);

        List<byte[]> chunks = await ReadAsync(stored.Digest, "data.bin");

        chunks.Select(chunk => chunk.Length).ShouldBe([VerifiedFile.ChunkBytes, VerifiedFile.ChunkBytes, 17]);
        chunks.SelectMany(chunk => chunk).SequenceEqual(bytes).ShouldBeTrue();
    }

    [Fact]
    public async Task ReadArtifactFile_EmptyFile_HasNoChunks()
    {
        StoredArtifact stored = await PutAsync("model", []);

        (await ReadAsync(stored.Digest, "data.bin")).ShouldBeEmpty();
    }

    [Fact]
    public async Task ReadArtifactFile_UnknownFile_IsNotFound()
    {
        StoredArtifact stored = await PutAsync("model", "x");

        (await Should.ThrowAsync<RpcException>(() => ReadAsync(stored.Digest, "../data.bin"))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ReadArtifactFile_DamagedBytes_AreDataLoss(bool isMissing)
    {
        StoredArtifact stored = await PutAsync("model", "weights");
        string path = _store.GetPath(stored, "data.bin");
        File.Delete(path);
        if (!isMissing) await File.WriteAllTextAsync(path, "Weights", Ct);

        (await Should.ThrowAsync<RpcException>(() => ReadAsync(stored.Digest, "data.bin"))).StatusCode.ShouldBe(StatusCode.DataLoss);
    }

    private async Task<List<byte[]>> ReadAsync(string artifact, string path)
    {
        using AsyncServerStreamingCall<ReadArtifactFileResponse> call = Client.ReadArtifactFile(new ReadArtifactFileRequest { Artifact = artifact, Path = path }, cancellationToken: Ct);
        List<byte[]> chunks = [];
        await foreach (ReadArtifactFileResponse response in call.ResponseStream.ReadAllAsync(Ct)) chunks.Add(response.Data.ToByteArray());
        return chunks;
    }

    private Task<StoredArtifact> PutAsync(string kind, string text, bool advance = false)
    {
        if (advance) _time.Advance(TimeSpan.FromSeconds(1));
        return PutAsync(kind, System.Text.Encoding.UTF8.GetBytes(text));
    }

    private Task<StoredArtifact> PutAsync(string kind, byte[] bytes) => _store.PutAsync(
        kind, new ArtifactProvenance("test", new Dictionary<string, string>(), new JsonObject { ["steps"] = 3 }, 5),
        (folder, ct) => File.WriteAllBytesAsync(Path.Combine(folder, "data.bin"), bytes, ct), Ct);
}
