using System.Diagnostics;
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

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>What requests hold, and that they let go of it. Counts tensors of the whole process: nothing may run beside it.</summary>
[Collection(nameof(StreamingTests))]
public sealed class LifetimeTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private RunLimits Limits => _lab.Host.Services.GetRequiredService<RunLimits>();

    private async Task<ModelLease> LeaseAsync() =>
        await _lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(ModelName, "model", TestContext.Current.CancellationToken);

    private static RunRequest NewRun(int i)
    {
        RunRequest request = Request([1 + (i % 7), 2, 3], [4, 5]);
        request.Captures.Add(new Selector { Hook = "blocks.*.*" });
        request.Logits = LogitsMode.Last;
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.*.attn.hook_z", Heads = { 1 }, Positions = { -1 } }, Mean = new MeanOperation() });
        return request;
    }

    private static GenerateRequest NewGeneration(int newTokens, int i = 0) => new()
    {
        Model = ModelName,
        MaxNewTokens = newTokens,
        IgnoreEos = true,
        Prompt = new Input { Tokens = new TokenRows { Rows = { new TokenRow { Ids = { 1 + (i % 5), 2 } } } } },
        Interventions = { new Intervention { Selector = new Selector { Hook = "blocks.0.hook_mlp_out" }, Scale = new ScaleOperation { Factor = 1.5f } } },
    };

    private static async Task UntilAsync(Func<bool> holds)
    {
        while (!holds())
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>Runs, generations, failing and cancelled requests, several at once.</summary>
    private async Task WorkAsync(int requests)
    {
        int next = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (int i = Interlocked.Increment(ref next); i <= requests; i = Interlocked.Increment(ref next))
            {
                switch (i % 8)
                {
                    case 0:
                        RunRequest broken = NewRun(i);
                        Intervention large = new() { Selector = new Selector { Hook = "blocks.0.hook_resid_pre" }, Scale = new ScaleOperation { Factor = 1e38f } };
                        broken.Interventions.Add([large, large]);
                        (await ErrorOf(() => _lab.RunAsync(broken))).Reason().ShouldBe("NON_FINITE");
                        break;
                    case 1:
                        await _lab.GenerateAsync(NewGeneration(5, i));
                        break;
                    case 2:
                        using (AsyncServerStreamingCall<GenerateResponse> abandoned = _lab.Client.Generate(NewGeneration(40, i), cancellationToken: TestContext.Current.CancellationToken))
                            await abandoned.ResponseStream.MoveNext(TestContext.Current.CancellationToken);
                        break;
                    default:
                        await _lab.RunAsync(NewRun(i));
                        break;
                }
            }
        })));
        await UntilAsync(() => Limits.CacheBytes == 0 && Limits.HeldBytes == 0);
    }

    [Fact]
    public async Task Requests_AThousandAtOnceAndOneAfterAnother_LeaveMemoryFlat()
    {
        await WorkAsync(300);
        using ModelLease lease = await LeaseAsync();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        (long tensors, long leaked, long resident) = (torch.Tensor.TotalCount, lease.Model.Worker.LeakedTensorCount, ResidentBytes());

        await WorkAsync(1000);

        GC.Collect();
        GC.WaitForPendingFinalizers();
        torch.Tensor.TotalCount.ShouldBeLessThanOrEqualTo(tensors);
        lease.Model.Worker.LeakedTensorCount.ShouldBe(leaked);
        // A thousand requests send some 300 MB; what the heaps keep to themselves is far less.
        (ResidentBytes() - resident).ShouldBeLessThan(64 << 20);

        static long ResidentBytes()
        {
            using Process process = Process.GetCurrentProcess();
            return process.WorkingSet64;
        }
    }

    [Fact]
    public async Task Run_CancelledInAPassOfItsOwn_StopsWithinALayer()
    {
        ModelLease lease = await LeaseAsync();
        RunRequest request = Request([1, 2, 3]);
        request.Captures.Add(new Selector { Hook = "blocks.*.*" });
        RunPlan plan = RunPlan.Of(lease.Model.Hooks, lease.Model.Config, request.ToOrder(lease.Model));
        using CancellationTokenSource cancel = new();
        List<string> sent = [];

        await Should.ThrowAsync<OperationCanceledException>(() => _lab.Host.Services.GetRequiredService<PassRunner>().RunAsync(
            lease.Model,
            plan,
            () => { },
            tensor =>
            {
                sent.Add(tensor.Name);
                if (tensor.Name == "blocks.0.hook_resid_mid") cancel.Cancel();
            },
            cancel.Token));

        sent[^1].ShouldBe("blocks.0.hook_resid_mid");
        lease.Dispose();
    }

    [Fact]
    public async Task Generate_ClientThatIsKilled_FreesItsKeysAndValuesWhileOthersGoOn()
    {
        using MortalClient client = await MortalClient.ConnectAsync(_lab.Host.Url);
        GenerateRequest request = NewGeneration(60);
        request.Captures.Add(new Selector { Hook = "blocks.*.*" });
        using AsyncServerStreamingCall<GenerateResponse> dying = client.Client.Generate(request, cancellationToken: TestContext.Current.CancellationToken);
        (await dying.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        Task<GenerateReply> other = _lab.GenerateAsync(NewGeneration(60));

        client.Kill();

        (await other).Tokens.Count.ShouldBe(60);
        await UntilAsync(() => Limits.CacheBytes == 0 && Limits.HeldBytes == 0);
        using ModelLease lease = await LeaseAsync();
        await UntilAsync(() => lease.Model.Scheduler.State is { Length: 0, Running: 0 });
    }

    [Fact]
    public async Task Generate_ReaderThatStops_HoldsNoMoreThanItsBudgetAndNobodyBack()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxHeldBytes", "600000"));
        GenerateRequest captures = NewGeneration(60);
        captures.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_*" });
        captures.Captures.Add(new Selector { Hook = "unembed.hook_out" });
        List<AsyncServerStreamingCall<GenerateResponse>> stopped = [];
        RpcException? busy = null;
        while (busy is null)
        {
            AsyncServerStreamingCall<GenerateResponse> call = _lab.Client.Generate(captures, cancellationToken: TestContext.Current.CancellationToken);
            stopped.Add(call);
            try
            {
                await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken);
            }
            catch (RpcException e)
            {
                busy = e;
            }

            stopped.Count.ShouldBeLessThan(20);
        }

        busy.Reason().ShouldBe("MEMORY_BUSY");
        busy.GetRpcStatus()!.GetDetail<Google.Rpc.RetryInfo>().ShouldNotBeNull();
        Limits.HeldBytes.ShouldBeLessThanOrEqualTo(600_000);
        (await _lab.GenerateAsync(NewGeneration(20))).Tokens.Count.ShouldBe(20);
        foreach (AsyncServerStreamingCall<GenerateResponse> call in stopped) call.Dispose();
        await UntilAsync(() => Limits.HeldBytes == 0);
        (await _lab.GenerateAsync(captures)).Tokens.Count.ShouldBe(60);
    }
}
