using System.Threading.Channels;
using Google.Rpc;
using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Microsoft.Extensions.DependencyInjection;
using TorchSharp;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

/// <summary>Counts tensors of the whole process: nothing may run beside it.</summary>
[CollectionDefinition(nameof(StreamingTests), DisableParallelization = true)]
[Collection(nameof(StreamingTests))]
public sealed class StreamingTests : IAsyncLifetime
{
    // 256 rows x 64 tokens x 32 channels: 2 MiB a hook, far above what buffers between the two ends take.
    private static readonly int[][] Large = [.. Enumerable.Range(0, 256).Select(row => Enumerable.Range(row, 64).Select(id => id % 256).ToArray())];

    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private RunLimits Limits => _lab.Host.Services.GetRequiredService<RunLimits>();

    private static RunRequest LargeRequest()
    {
        RunRequest request = Request(Large);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_*" });
        request.Captures.Add(new Selector { Hook = "hook_embed" });
        return request;
    }

    [Fact]
    public async Task Run_SlowReader_HoldsTheStreamBackButNotTheModel()
    {
        using AsyncServerStreamingCall<RunResponse> slow = _lab.Client.Run(LargeRequest(), cancellationToken: TestContext.Current.CancellationToken);
        (await slow.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();

        (await _lab.RunAsync(Request([1, 2]))).Tensors.ShouldBeEmpty();
        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = ModelName }, cancellationToken: TestContext.Current.CancellationToken);
        Limits.HeldBytes.ShouldBe(7L * 256 * 64 * 32 * 4);

        List<HostTensor> tensors = (await ReadTensorsAsync(slow.ResponseStream)).Tensors;
        tensors.Count.ShouldBe(7);
        tensors.Sum(tensor => tensor.Data.Length).ShouldBe(7 * 256 * 64 * 32 * 4);
        Limits.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Run_FailureInTheLastLayer_ComesAfterTheFirstLayersTensors()
    {
        RunRequest request = Request([1, 2, 3]);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_mid" });
        Intervention large = new() { Selector = new Selector { Hook = "blocks.1.hook_resid_mid" }, Scale = new ScaleOperation { Factor = 1e38f } };
        request.Interventions.Add([large, large]);
        using AsyncServerStreamingCall<RunResponse> call = _lab.Client.Run(request, cancellationToken: TestContext.Current.CancellationToken);
        List<RunResponse> before = [];

        RpcException e = await ErrorOf(async () =>
        {
            await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) before.Add(response);
        });

        e.Reason().ShouldBe("NON_FINITE");
        before[0].Started.Tensors.Select(tensor => tensor.Name).ShouldBe(["blocks.0.hook_resid_mid", "blocks.1.hook_resid_mid"]);
        TensorFrameReader reader = new();
        before[1..].ConvertAll(response => reader.Accept(response.Frame))[^1].ShouldNotBeNull().Name.ShouldBe("blocks.0.hook_resid_mid");
        Limits.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Pass_CapturedTensors_ComeBeforeThePassEnds()
    {
        ModelRegistry registry = _lab.Host.Services.GetRequiredService<ModelRegistry>();
        using ModelLease lease = await registry.LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
        RunRequest request = Request([1, 2, 3]);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_post" });
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, request.ToOrder(lease.Model));
        using ManualResetEventSlim release = new();
        Channel<string> sent = Channel.CreateUnbounded<string>();

        Task<PassResult> pass = _lab.Host.Services.GetRequiredService<PassRunner>().RunAsync(
            lease.Model,
            plan,
            () => { },
            tensor =>
            {
                sent.Writer.TryWrite(tensor.Name);
                release.Wait(CancellationToken.None);
            },
            TestContext.Current.CancellationToken);

        (await sent.Reader.ReadAsync(TestContext.Current.CancellationToken)).ShouldBe("blocks.0.hook_resid_post");
        pass.IsCompleted.ShouldBeFalse();
        sent.Reader.TryRead(out _).ShouldBeFalse();
        release.Set();
        await pass;
        (await sent.Reader.ReadAsync(TestContext.Current.CancellationToken)).ShouldBe("blocks.1.hook_resid_post");
    }

    [Fact]
    public async Task Run_ReaderThatGoesAway_GivesItsMemoryBack()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxHeldBytes", "20000000"));
        using AsyncServerStreamingCall<RunResponse> abandoned = _lab.Client.Run(LargeRequest(), cancellationToken: TestContext.Current.CancellationToken);
        (await abandoned.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        RpcException busy = await ErrorOf(() => _lab.RunAsync(LargeRequest()));

        abandoned.Dispose();

        busy.Reason().ShouldBe("MEMORY_BUSY");
        busy.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
        int count = -1;
        while (count < 0)
        {
            try
            {
                count = (await _lab.RunAsync(LargeRequest())).Tensors.Count;
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.ResourceExhausted)
            {
                TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            }
        }

        count.ShouldBe(7);
    }

    [Fact]
    public async Task Run_FullQueue_IsResourceExhaustedWithRetryInfo()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:QueueCapacity", "1"));
        ModelRegistry registry = _lab.Host.Services.GetRequiredService<ModelRegistry>();
        using ModelLease lease = await registry.LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
        using ManualResetEventSlim release = new();
        using SemaphoreSlim running = new(0);
        Task blocking = lease.Model.Worker.RunAsync(
            _ =>
            {
                running.Release();
                release.Wait(CancellationToken.None);
            },
            TestContext.Current.CancellationToken);
        await running.WaitAsync(TestContext.Current.CancellationToken);
        Task waiting = lease.Model.Worker.RunAsync(_ => { }, TestContext.Current.CancellationToken);

        RpcException e = await ErrorOf(() => _lab.RunAsync(Request([1])));

        e.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        e.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
        release.Set();
        await Task.WhenAll(blocking, waiting);
        (await _lab.RunAsync(Request([1]))).Tensors.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_DeadlineWhileWaiting_EndsAndLeavesTheQueue()
    {
        ModelRegistry registry = _lab.Host.Services.GetRequiredService<ModelRegistry>();
        using ModelLease lease = await registry.LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
        using ManualResetEventSlim release = new();
        Task blocking = lease.Model.Worker.RunAsync(_ => release.Wait(CancellationToken.None), TestContext.Current.CancellationToken);

        RpcException e = await ErrorOf(async () =>
        {
            using AsyncServerStreamingCall<RunResponse> call = _lab.Client.Run(Request([1]), deadline: DateTime.UtcNow.AddMilliseconds(200));
            await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken);
        });

        e.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
        release.Set();
        await blocking;
        (await _lab.RunAsync(Request([1]))).Tensors.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_AThousandTimes_LeavesTheNumberOfTensorsFlat()
    {
        ModelRegistry registry = _lab.Host.Services.GetRequiredService<ModelRegistry>();
        using ModelLease lease = await registry.LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);
        RunRequest request = Request([1, 2, 3], [4, 5]);
        request.Captures.Add(new Selector { Hook = "blocks.0.*" });
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.*.attn.hook_z", Heads = { 1 }, Positions = { -1 } }, Mean = new MeanOperation() });
        request.Logits = LogitsMode.Last;
        await _lab.RunAsync(request);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        (long total, long leaked) = (torch.Tensor.TotalCount, lease.Model.Worker.LeakedTensorCount);

        for (int i = 0; i < 1000; i++) await _lab.RunAsync(request);

        lease.Model.Worker.LeakedTensorCount.ShouldBe(leaked);
        torch.Tensor.TotalCount.ShouldBeLessThanOrEqualTo(total);
    }
}
