using Grpc.Core;
using Lab.BridgeAlignment.Streams;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.BridgeAlignment.Tests.Streams;

public sealed class GrpcActivationSourceTests : IAsyncLifetime
{
    private static readonly TokenBatch Batch = new([1, 2, 3, 4, 5, 6], Rows: 2, Length: 3);

    private readonly ScriptedModelHost _host = new();
    private readonly ImpatientTime _time = new(TimeSpan.FromSeconds(10));
    private GrpcActivationSource _sut = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() =>
        _sut = new GrpcActivationSource(await _host.StartAsync(), _time);

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task ReadActivations_FramesInOtherOrder_ReturnsTensorsInTheOrderOfHooks()
    {
        _host.Tensors.AddRange([Activation("b", 10), Activation("a", 0)]);

        IReadOnlyList<HostTensor> tensors = await _sut.ReadActivationsAsync("m", Batch, ["a", "b"], Ct);

        tensors.Select(tensor => tensor.Name).ShouldBe(["a", "b"]);
        tensors[1].Floats.ToArray().ShouldBe([.. Enumerable.Range(10, 24)]);
        RunRequest request = _host.Requests.ShouldHaveSingleItem();
        request.Model.ShouldBe("m");
        request.Captures.Select(selector => selector.Hook).ShouldBe(["a", "b"]);
        request.Input.Tokens.Rows.Select(row => string.Join(' ', row.Ids)).ShouldBe(["1 2 3", "4 5 6"]);
        request.Logits.ShouldBe(LogitsMode.Unspecified);
    }

    [Fact]
    public async Task ReadActivations_HostGoesAwayMidStream_LoadsAgainAndAsksAgain()
    {
        _host.Tensors.AddRange([Activation("a", 0), Activation("b", 10)]);
        _host.Failures.Enqueue(new RpcException(new Status(StatusCode.Unavailable, "Restarts.")));
        _host.Failures.Enqueue(new ResourceExhaustedException("WORKER_BUSY", "Busy.", TimeSpan.FromSeconds(1)));
        _host.Failures.Enqueue(new FailedPreconditionException("MODEL_NOT_LOADED", "Gone."));

        IReadOnlyList<HostTensor> tensors = await _sut.ReadActivationsAsync("m", Batch, ["a", "b"], Ct);

        tensors.ShouldBe(_host.Tensors);
        _host.Calls.ShouldBe(["run", "load m", "run", "load m", "run", "load m", "run"]);
    }

    [Fact]
    public async Task ReadActivations_HostStaysAway_GivesUpAfterTwoMinutes()
    {
        foreach (int _ in Enumerable.Range(0, 1000)) _host.Failures.Enqueue(new RpcException(new Status(StatusCode.Unavailable, "Away.")));

        RpcException e = await Should.ThrowAsync<RpcException>(() => _sut.ReadActivationsAsync("m", Batch, ["a"], Ct));

        e.StatusCode.ShouldBe(StatusCode.Unavailable);
        _time.Waited.ShouldBeInRange(TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(3));
    }

    [Fact]
    public async Task ReadActivations_RefusedRequest_FailsAtOnce()
    {
        _host.Failures.Enqueue(new ResourceExhaustedException("BYTE_BUDGET_EXCEEDED", "Too much."));

        (await Should.ThrowAsync<RpcException>(() => _sut.ReadActivationsAsync("m", Batch, ["a"], Ct))).StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        _host.Calls.ShouldBe(["run"]);
    }

    [Fact]
    public async Task ReadActivations_StreamEndsEarly_IsDataLoss()
    {
        _host.Tensors.Add(HostTensor.FromFloats("a", new float[600_000], 2, 3, 100_000));
        _host.Failures.Enqueue(null);

        (await Should.ThrowAsync<InvalidDataException>(() => _sut.ReadActivationsAsync("m", Batch, ["a"], Ct))).Message.ShouldContain("'a'");
    }

    [Fact]
    public async Task ReadActivations_WrongShape_IsDataLoss()
    {
        _host.Tensors.Add(HostTensor.FromFloats("a", new float[12], 3, 2, 2));

        (await Should.ThrowAsync<InvalidDataException>(() => _sut.ReadActivationsAsync("m", Batch, ["a"], Ct))).Message.ShouldContain("[3, 2, 2]");
    }

    [Fact]
    public async Task ReadLogits_Replacement_IsSentAsASetIntervention()
    {
        _host.Tensors.Add(Activation("logits", 0));
        HostTensor replacement = Activation("blocks.1.hook_resid_mid", 100);

        HostTensor logits = await _sut.ReadLogitsAsync("m", Batch, replacement, Ct);

        logits.ShouldBe(_host.Tensors[0]);
        RunRequest request = _host.Requests.ShouldHaveSingleItem();
        request.Logits.ShouldBe(LogitsMode.All);
        Intervention intervention = request.Interventions.ShouldHaveSingleItem();
        intervention.Selector.Hook.ShouldBe("blocks.1.hook_resid_mid");
        intervention.Selector.Rows.ShouldBeEmpty();
        intervention.Set.Value.Inline.ToHost("value").ShouldBe(replacement);
    }

    [Fact]
    public async Task Prepare_Model_IsLoaded()
    {
        await _sut.PrepareAsync("sha256:ab", Ct);

        _host.Calls.ShouldBe(["load sha256:ab"]);
    }

    private static HostTensor Activation(string name, int first) =>
        HostTensor.FromFloats(name, [.. Enumerable.Range(first, 24).Select(value => (float)value)], 2, 3, 4);
}
