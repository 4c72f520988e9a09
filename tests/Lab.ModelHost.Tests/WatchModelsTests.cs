using Grpc.Core;
using Lab.Models;
using Lab.Protos.ModelHost.V1;
using static Lab.ModelHost.Tests.CallErrors;

namespace Lab.ModelHost.Tests;

public sealed class WatchModelsTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private static async Task<Model> NextAsync(IAsyncStreamReader<WatchModelsResponse> stream)
    {
        (await stream.MoveNext(Ct)).ShouldBeTrue();
        return stream.Current.Model;
    }

    [Fact]
    public async Task WatchModels_AModelsLife_IsToldInOrder()
    {
        using AsyncServerStreamingCall<WatchModelsResponse> call = _lab.Client.WatchModels(new WatchModelsRequest(), cancellationToken: Ct);
        IAsyncStreamReader<WatchModelsResponse> stream = call.ResponseStream;
        Model known = await NextAsync(stream);
        (known.Name, known.State).ShouldBe((HostedLab.ModelName, ModelState.Resident));
        using Transformer model = HostedLab.NewModel(seed: 9);
        await HostedLab.StoreAsync(_lab.Store, "models/other", model);

        await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = "models/other" }, cancellationToken: Ct);
        await _lab.Client.PinModelAsync(new PinModelRequest { Name = "models/other" }, cancellationToken: Ct);
        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = "models/other" }, cancellationToken: Ct);

        List<Model> told = [];
        while (told.LastOrDefault()?.State != ModelState.Unloaded) told.Add(await NextAsync(stream));
        told.ShouldAllBe(model => model.Name == "models/other");
        List<Model> loading = [.. told.TakeWhile(model => model.State == ModelState.Loading)];
        loading.Select(model => model.LoadedBytes).ShouldBeInOrder();
        loading[0].LoadedBytes.ShouldBe(0);
        loading.Count(model => model.LoadedBytes > 0).ShouldBeGreaterThan(1);
        loading[^1].SizeBytes.ShouldBe(known.SizeBytes);
        loading[^1].LoadedBytes.ShouldBe(known.SizeBytes);
        told[loading.Count..].Select(model => (model.State, model.Pinned)).ShouldBe(
            [(ModelState.Resident, false), (ModelState.Resident, true), (ModelState.Unloaded, false)]);
    }

    [Fact]
    public async Task WatchModels_LoadThatFails_IsToldWithTheReason()
    {
        using Transformer model = HostedLab.NewModel(seed: 9);
        var artifact = await HostedLab.StoreAsync(_lab.Store, "models/other", model);
        File.Delete(_lab.Store.GetPath(artifact, "model.safetensors"));
        using AsyncServerStreamingCall<WatchModelsResponse> call = _lab.Client.WatchModels(new WatchModelsRequest { Name = "models/other" }, cancellationToken: Ct);
        // The watch has begun once the headers are there.
        await call.ResponseHeadersAsync.WaitAsync(Ct);

        await ErrorOf(async () => await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = "models/other" }, cancellationToken: Ct));

        (await NextAsync(call.ResponseStream)).State.ShouldBe(ModelState.Loading);
        Model failed = await NextAsync(call.ResponseStream);
        failed.State.ShouldBe(ModelState.Failed);
        failed.Reason.ShouldContain("model.safetensors");
    }
}
