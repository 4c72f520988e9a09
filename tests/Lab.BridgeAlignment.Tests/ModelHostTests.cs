using Grpc.Core;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;

namespace Lab.BridgeAlignment.Tests;

/// <summary>The part over a real ModelHost, on loopback.</summary>
public sealed class ModelHostTests : IAsyncLifetime
{
    private TinyLab _lab = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _lab = await TinyLab.CreateAsync();

    public ValueTask DisposeAsync()
    {
        _lab.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Run_OverTheWire_EqualsRunInProcess()
    {
        using ModelSource source = _lab.Source;
        await using PartHost local = await _lab.StartAsync(source);
        AlignmentRun expected = await RunAsync(local, "local");
        await local.DisposeAsync();

        await using PartHost models = await _lab.StartModelHostAsync();
        await using PartHost bridge = await _lab.StartAsync(models.Url);
        AlignmentRun actual = await RunAsync(bridge, "wire");

        actual.Status.Error.ShouldBeNull();
        actual.Bridge.ShouldBe(expected.Bridge);
        actual.Sites.ShouldBe(expected.Sites);
    }

    [Fact]
    public async Task Run_ModelHostRestarts_EqualsUninterrupted()
    {
        PartHost models = await _lab.StartModelHostAsync();
        await using PartHost bridge = await _lab.StartAsync(models.Url);
        AlignmentRun whole = await RunAsync(bridge, "whole");
        whole.Status.Error.ShouldBeNull();
        string expected = whole.Bridge;

        BridgeAlignmentService.BridgeAlignmentServiceClient client = new(bridge.Channel);
        _ = await client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "shaken", Config = TinyLab.Config }, cancellationToken: Ct);
        using AsyncServerStreamingCall<AlignmentRun> watch = client.WatchAlignmentRun(new WatchAlignmentRunRequest { Name = "alignmentRuns/shaken" }, cancellationToken: Ct);
        while (await watch.ResponseStream.MoveNext(Ct) && watch.ResponseStream.Current.Status.Progress is not { Completed: > 5 }) { }
        watch.ResponseStream.Current.Status.State.ShouldBe(RunState.Running);
        string url = models.Url;
        await models.DisposeAsync();
        models = await _lab.StartModelHostAsync(url);
        AlignmentRun last = await client.WatchToEndAsync("alignmentRuns/shaken", Ct);
        await models.DisposeAsync();

        last.Status.Error.ShouldBeNull();
        last.Bridge.ShouldBe(expected);
    }

    private static async Task<AlignmentRun> RunAsync(PartHost host, string id)
    {
        BridgeAlignmentService.BridgeAlignmentServiceClient client = new(host.Channel);
        _ = await client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = id, Config = TinyLab.Config }, cancellationToken: Ct);
        return await client.WatchToEndAsync($"alignmentRuns/{id}", Ct);
    }
}
