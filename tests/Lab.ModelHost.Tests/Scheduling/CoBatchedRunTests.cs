using Google.Rpc;
using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests.Scheduling;

public sealed class CoBatchedRunTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private static RunRequest NewRequest(int i)
    {
        RunRequest request = Request([1 + i, 2, 3], [.. Enumerable.Range(5 + i, 1 + (i % 4))]);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_post" });
        request.Logits = i % 2 == 0 ? LogitsMode.Last : LogitsMode.All;
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = $"blocks.{i % 2}.hook_mlp_out", Positions = { -1 } }, Scale = new ScaleOperation { Factor = 1 + (i / 10f) } });
        return request;
    }

    private static void ShouldBeClose(IReadOnlyList<HostTensor> actual, IReadOnlyList<HostTensor> expected)
    {
        actual.Select(tensor => tensor.Name).ShouldBe(expected.Select(tensor => tensor.Name));
        foreach ((HostTensor a, HostTensor e) in actual.Zip(expected))
        {
            a.Shape.ShouldBe(e.Shape);
            for (int i = 0; i < a.ElementCount; i++) ((double)Math.Abs(a.Floats[i] - e.Floats[i])).ShouldBeLessThanOrEqualTo(1e-5 * (1 + Math.Abs(e.Floats[i])), a.Name);
        }
    }

    [Fact]
    public async Task Run_ConcurrentRequestsWithDifferentInterventions_ShareAPassAndEqualTheirSoloRuns()
    {
        RunRequest[] requests = [.. Enumerable.Range(0, 6).Select(NewRequest)];
        RunReply[] alone = new RunReply[requests.Length];
        for (int i = 0; i < requests.Length; i++) alone[i] = await _lab.RunAsync(requests[i]);

        RunReply[] together = await _lab.TogetherAsync<RunReply>(() => [.. requests.Select(_lab.RunAsync)], requests.Length);

        for (int i = 0; i < requests.Length; i++)
        {
            (together[i].Summary.BatchedRequests, together[i].Summary.BatchedRows).ShouldBe((6, 12));
            (alone[i].Summary.BatchedRequests, alone[i].Summary.BatchedRows).ShouldBe((1, 2));
            together[i].Summary.FireCounts.ShouldBe([1]);
            ShouldBeClose(together[i].Tensors, alone[i].Tensors);
        }

        (await _lab.QueueAsync()).ShouldBe(new ModelQueue());
    }

    [Fact]
    public async Task Run_RequestThatFailsAmongOthers_FailsAlone()
    {
        RunRequest broken = NewRequest(0);
        Intervention large = new() { Selector = new Selector { Hook = "blocks.0.hook_resid_pre" }, Scale = new ScaleOperation { Factor = 1e38f } };
        broken.Interventions.Add([large, large]);
        IReadOnlyList<HostTensor> alone = (await _lab.RunAsync(NewRequest(1))).Tensors;

        object[] results = await _lab.TogetherAsync<object>(() => [Good(), Failing(), Good()], 3);

        ((RpcException)results[1]).Reason().ShouldBe("NON_FINITE");
        ShouldBeClose(((RunReply)results[0]).Tensors, alone);
        ((RunReply)results[2]).Summary.BatchedRequests.ShouldBe(3);

        async Task<object> Good() => await _lab.RunAsync(NewRequest(1));
        async Task<object> Failing() => await ErrorOf(() => _lab.RunAsync(broken));
    }

    [Fact]
    public async Task Run_CancelledOnesAmongOthers_LeaveTheQueueAndChangeNothing()
    {
        using CancellationTokenSource cancel = new();
        RunReply alone = await _lab.RunAsync(NewRequest(1));

        object[] results = await _lab.TogetherAsync<object>(
            () => [Good(), Cancelled(), Good()],
            3,
            async () =>
            {
                await cancel.CancelAsync();
                await _lab.WaitingAsync(2);
            });

        ((RpcException)results[1]).StatusCode.ShouldBe(StatusCode.Cancelled);
        ((RunReply)results[2]).Summary.BatchedRequests.ShouldBe(2);
        ShouldBeClose(((RunReply)results[2]).Tensors, alone.Tensors);

        async Task<object> Good() => await _lab.RunAsync(NewRequest(1));
        async Task<object> Cancelled() => await ErrorOf(async () =>
        {
            using AsyncServerStreamingCall<RunResponse> call = _lab.Client.Run(NewRequest(2), cancellationToken: cancel.Token);
            await call.ResponseStream.MoveNext(cancel.Token);
        });
    }

    [Fact]
    public async Task Run_DeadClient_FreesItsPlaceInTheQueue()
    {
        Task dying = Task.CompletedTask;
        RunReply[] results = await _lab.TogetherAsync<RunReply>(
            () =>
            {
                dying = DieAsync();
                return [_lab.RunAsync(NewRequest(1))];
            },
            1,
            async () =>
            {
                await dying;
                await _lab.WaitingAsync(1);
            });

        results[0].Summary.BatchedRequests.ShouldBe(1);

        // A process that is killed has its sockets closed by the system, without any word of HTTP/2.
        async Task DieAsync()
        {
            using MortalClient client = await MortalClient.ConnectAsync(_lab.Host.Url);
            Task call = client.SendRunAsync(NewRequest(2));
            await _lab.WaitingAsync(2);
            client.Kill();
            await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [Fact]
    public async Task Run_ChangeToSingleHeads_RunsAlone()
    {
        RunRequest heads = NewRequest(0);
        heads.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_q_input", Heads = { 0 } }, Zero = new ZeroOperation() });
        RunReply alone = await _lab.RunAsync(NewRequest(1));

        RunReply[] results = await _lab.TogetherAsync<RunReply>(() => [_lab.RunAsync(heads), _lab.RunAsync(NewRequest(1))], 2);

        results.ShouldAllBe(reply => reply.Summary.BatchedRequests == 1);
        results[1].Tensors.ShouldBe(alone.Tensors);
    }

    [Theory]
    [InlineData("BYTE_BUDGET_EXCEEDED", 100, 0, 0)]
    [InlineData("TOKEN_BUDGET_EXCEEDED", 0, 3, 0)]
    public async Task Run_AboveABudget_IsRefusedBeforeItRuns(string reason, long bytes, long tokens, long milliseconds)
    {
        RunRequest request = NewRequest(0);
        request.Budget = new Budget { MaxBytes = bytes, MaxTokens = tokens, MaxTimeMs = milliseconds };

        RpcException e = await ErrorOf(() => _lab.RunAsync(request));

        (e.StatusCode, e.Reason()).ShouldBe((StatusCode.ResourceExhausted, reason));
        e.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldBeNull();
        request.Budget = new Budget { MaxBytes = 1 << 20, MaxTokens = 4, MaxTimeMs = 60_000 };
        (await _lab.RunAsync(request)).Summary.ShouldNotBeNull();
    }

    [Theory]
    [InlineData("budget.max_bytes", -1, 0, 0, 0)]
    [InlineData("budget.max_tokens", 0, -1, 0, 0)]
    [InlineData("budget.max_time_ms", 0, 0, -1, 0)]
    [InlineData("priority", 0, 0, 0, 7)]
    public async Task Run_BadBudgetOrPriority_NamesTheField(string field, long bytes, long tokens, long milliseconds, int priority)
    {
        RunRequest request = NewRequest(0);
        request.Budget = new Budget { MaxBytes = bytes, MaxTokens = tokens, MaxTimeMs = milliseconds };
        request.Priority = (Priority)priority;

        (await ErrorOf(() => _lab.RunAsync(request))).Field().ShouldBe(field);
    }
}
