using Google.Rpc;
using Grpc.Core;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.Run.V1;

namespace Lab.BridgeAlignment.Tests;

public sealed class BridgeAlignmentEndpointTests : IAsyncLifetime
{
    private TinyLab _lab = null!;
    private BridgeService _service = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await TinyLab.CreateAsync();
        _service = await BridgeService.StartAsync(_lab);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        _lab.Dispose();
    }

    [Fact]
    public async Task Create_ValidConfig_IsWatchedToItsEnd()
    {
        AlignmentRun created = await _service.Client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = TinyLab.Config }, cancellationToken: Ct);
        created.Name.ShouldBe("alignmentRuns/a");

        AlignmentRun last = await WatchAsync("alignmentRuns/a");

        last.Status.Error.ShouldBeNull();
        last.Status.State.ShouldBe(RunState.Succeeded);
        last.Bridge.ShouldBe((await _lab.Store.GetAsync("bridges/tiny", Ct)).Digest);
        last.Sites.Count.ShouldBe(5);
        last.Config.ShouldBe(TinyLab.Config);
        (await _service.Client.GetAlignmentRunAsync(new GetAlignmentRunRequest { Name = "alignmentRuns/a" }, cancellationToken: Ct)).ShouldBe(last);
        (await _service.Client.ListAlignmentRunsAsync(new ListAlignmentRunsRequest(), cancellationToken: Ct)).AlignmentRuns.ShouldBe([last]);
    }

    [Fact]
    public async Task Create_WrongConfig_NamesTheFieldsAndCreatesNothing()
    {
        AlignmentConfig config = TinyLab.Config;
        config.DenseModel = "models/nowhere";

        RpcException e = await Should.ThrowAsync<RpcException>(
            async () => await _service.Client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = config }, cancellationToken: Ct));

        e.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        e.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Select(violation => violation.Field).ShouldBe(["config.dense_model"]);
        (await _service.Client.ListAlignmentRunsAsync(new ListAlignmentRunsRequest(), cancellationToken: Ct)).AlignmentRuns.ShouldBeEmpty();
    }

    [Fact]
    public async Task Resume_FailedRun_EndsWithTheBridgeOfAWholeOne()
    {
        AlignmentConfig config = TinyLab.Config;
        config.OutputName = "";
        _ = await _service.Client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "whole", Config = config }, cancellationToken: Ct);
        string expected = (await WatchAsync("alignmentRuns/whole")).Bridge;

        _service.Source.FailAfter(150);
        _ = await _service.Client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "broken", Config = config }, cancellationToken: Ct);
        (await WatchAsync("alignmentRuns/broken")).Status.State.ShouldBe(RunState.Failed);
        _ = await _service.Client.ResumeAlignmentRunAsync(new ResumeAlignmentRunRequest { Name = "alignmentRuns/broken" }, cancellationToken: Ct);
        AlignmentRun last = await WatchAsync("alignmentRuns/broken");

        last.Status.State.ShouldBe(RunState.Succeeded);
        last.Bridge.ShouldBe(expected);
    }

    [Fact]
    public async Task Cancel_FinishedRun_ChangesNothing()
    {
        _ = await _service.Client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = "a", Config = TinyLab.Config }, cancellationToken: Ct);
        AlignmentRun last = await WatchAsync("alignmentRuns/a");

        (await _service.Client.CancelAlignmentRunAsync(new CancelAlignmentRunRequest { Name = "alignmentRuns/a" }, cancellationToken: Ct)).ShouldBe(last);
    }

    private async Task<AlignmentRun> WatchAsync(string name)
    {
        using AsyncServerStreamingCall<AlignmentRun> call = _service.Client.WatchAlignmentRun(new WatchAlignmentRunRequest { Name = name }, cancellationToken: Ct);
        AlignmentRun? last = null;
        await foreach (AlignmentRun run in call.ResponseStream.ReadAllAsync(Ct)) last = run;
        return last!;
    }
}
