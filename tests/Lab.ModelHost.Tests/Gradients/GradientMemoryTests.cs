using Grpc.Core;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.DependencyInjection;
using TorchSharp;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.Gradients.GradientLab;

namespace Lab.ModelHost.Tests.Gradients;

/// <summary>Counts tensors of the whole process: nothing may run beside it.</summary>
[Collection(nameof(StreamingTests))]
public sealed class GradientMemoryTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Gradients_TwoHundredTimes_LeavesTheNumberOfTensorsFlat()
    {
        using ModelLease lease = await _lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(HostedLab.ModelName, "model", TestContext.Current.CancellationToken);
        GradientsRequest request = Request([1, 2, 3], [4, 5]);
        request.Targets.Add([At("blocks.*.hook_resid_pre"), At("blocks.0.attn.hook_pattern"), new GradientTarget { Parameter = "transformer.wte.weight" }]);
        GradientsRequest failing = request.Clone();
        failing.Interventions.Add(new Intervention { Selector = new Selector { Hook = "unembed.hook_in" }, Scale = new ScaleOperation { Factor = float.MaxValue } });
        failing.Interventions.Add(failing.Interventions[0]);
        await _lab.RunAsync(request);
        await ErrorOf(() => _lab.RunAsync(failing));
        GC.Collect();
        GC.WaitForPendingFinalizers();
        (long total, long leaked) = (torch.Tensor.TotalCount, lease.Model.Worker.LeakedTensorCount);

        for (int i = 0; i < 200; i++)
        {
            if (i % 10 == 9) await ErrorOf(() => _lab.RunAsync(failing));
            else await _lab.RunAsync(request);
        }

        lease.Model.Worker.LeakedTensorCount.ShouldBe(leaked);
        torch.Tensor.TotalCount.ShouldBeLessThanOrEqualTo(total);
        _lab.Host.Services.GetRequiredService<RunLimits>().HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Gradients_GraphAboveTheLimit_IsRefusedButNotThatOfLaterLayers()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxGraphBytes", "100000"));
        GradientsRequest request = Request([.. Enumerable.Range(0, 4).Select(row => Enumerable.Range(row, 8).ToArray())]);
        request.Targets.Add(At("hook_embed"));

        RpcException e = await ErrorOf(() => _lab.RunAsync(request));

        e.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        e.Reason().ShouldBe("GRAPH_TOO_LARGE");
        request.Input.Tokens.Rows.RemoveAt(3);
        request.Input.Tokens.Rows.RemoveAt(2);
        request.Input.Tokens.Rows.RemoveAt(1);
        request.Targets[0] = At("blocks.1.hook_resid_post");
        (await _lab.RunAsync(request)).Tensors.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Gradients_Cancelled_GivesTheModelBackAsItWas()
    {
        using ModelLease lease = await _lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(HostedLab.ModelName, "model", TestContext.Current.CancellationToken);
        GradientsRequest request = Request([1, 2, 3], [4, 5]);
        request.Targets.Add(new GradientTarget { Parameter = "transformer.wte.weight" });
        using ManualResetEventSlim release = new();
        Task blocking = lease.Model.Worker.RunAsync(_ => release.Wait(CancellationToken.None), TestContext.Current.CancellationToken);
        using CancellationTokenSource cancel = new();
        using AsyncServerStreamingCall<GradientsResponse> call = _lab.Client.Gradients(request, cancellationToken: cancel.Token);

        await cancel.CancelAsync();

        (await ErrorOf(() => call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))).StatusCode.ShouldBe(StatusCode.Cancelled);
        release.Set();
        await blocking;
        (await _lab.RunAsync(request)).Tensors.Count.ShouldBe(1);
        bool isChanged = await lease.Model.Worker.RunAsync(
            _ => lease.Model.Transformer.Weights.All.Any(parameter => parameter.Value.requires_grad || parameter.Value.grad is not null), TestContext.Current.CancellationToken);
        isChanged.ShouldBeFalse();
    }
}
