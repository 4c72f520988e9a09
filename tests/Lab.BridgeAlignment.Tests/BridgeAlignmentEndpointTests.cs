using Google.Rpc;
using Grpc.Core;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;

namespace Lab.BridgeAlignment.Tests;

public sealed class BridgeAlignmentEndpointTests : IAsyncLifetime
{
    private TinyLab _lab = null!;
    private ModelSource _source = null!;
    private PartHost _host = null!;
    private BridgeAlignmentService.BridgeAlignmentServiceClient _client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await TinyLab.CreateAsync();
        _source = _lab.Source;
        _host = await _lab.StartAsync(_source);
        _client = new BridgeAlignmentService.BridgeAlignmentServiceClient(_host.Channel);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _source.Dispose();
        _lab.Dispose();
    }

    [Fact]
    public async Task Create_ValidConfig_IsWatchedToItsEnd()
    {
        AlignmentRun created = await _client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = TinyLab.Config }, cancellationToken: Ct);
        created.Name.ShouldBe("alignmentRuns/a");

        AlignmentRun last = await WatchAsync("alignmentRuns/a");

        last.Status.Error.ShouldBeNull();
        last.Status.State.ShouldBe(RunState.Succeeded);
        last.Bridge.ShouldBe((await _lab.Store.GetAsync("bridges/tiny", Ct)).Digest);
        last.Sites.Count.ShouldBe(5);
        last.Config.ShouldBe(TinyLab.Config);
        (await _client.GetAlignmentRunAsync(new GetAlignmentRunRequest { Name = "alignmentRuns/a" }, cancellationToken: Ct)).ShouldBe(last);
        (await _client.ListAlignmentRunsAsync(new ListAlignmentRunsRequest(), cancellationToken: Ct)).AlignmentRuns.ShouldBe([last]);
    }

    [Fact]
    public async Task Create_WrongConfig_NamesTheFieldsAndCreatesNothing()
    {
        AlignmentConfig config = TinyLab.Config;
        config.DenseModel = "models/nowhere";

        RpcException e = await Should.ThrowAsync<RpcException>(
            async () => await _client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = config }, cancellationToken: Ct));

        e.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        e.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Select(violation => violation.Field).ShouldBe(["config.dense_model"]);
        (await _client.ListAlignmentRunsAsync(new ListAlignmentRunsRequest(), cancellationToken: Ct)).AlignmentRuns.ShouldBeEmpty();
    }

    [Fact]
    public async Task Resume_FailedRun_EndsWithTheBridgeOfAWholeOne()
    {
        AlignmentConfig config = TinyLab.Config;
        config.OutputName = "";
        _ = await _client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "whole", Config = config }, cancellationToken: Ct);
        string expected = (await WatchAsync("alignmentRuns/whole")).Bridge;

        _source.FailAfter(110);
        _ = await _client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "broken", Config = config }, cancellationToken: Ct);
        (await WatchAsync("alignmentRuns/broken")).Status.State.ShouldBe(RunState.Failed);
        _ = await _client.ResumeAlignmentRunAsync(new ResumeAlignmentRunRequest { Name = "alignmentRuns/broken" }, cancellationToken: Ct);
        AlignmentRun last = await WatchAsync("alignmentRuns/broken");

        last.Status.State.ShouldBe(RunState.Succeeded);
        last.Bridge.ShouldBe(expected);
    }

    [Fact]
    public async Task Cancel_FinishedRun_ChangesNothing()
    {
        _ = await _client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = TinyLab.Config }, cancellationToken: Ct);
        AlignmentRun last = await WatchAsync("alignmentRuns/a");

        (await _client.CancelAlignmentRunAsync(new CancelAlignmentRunRequest { Name = "alignmentRuns/a" }, cancellationToken: Ct)).ShouldBe(last);
    }

    private async Task<AlignmentRun> WatchAsync(string name) => await _client.WatchToEndAsync(name, Ct);
}
