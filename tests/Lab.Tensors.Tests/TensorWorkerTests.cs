using TorchSharp;

namespace Lab.Tensors.Tests;

public sealed class TensorWorkerTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RunAsync_Jobs_RunInOrderOnOneThreadOfTheirOwn()
    {
        await using TensorWorker worker = new("w");
        List<int> order = [];

        Task<int>[] jobs = [.. Enumerable.Range(0, 20).Select(i => worker.RunAsync(_ => { order.Add(i); return Environment.CurrentManagedThreadId; }, Ct))];
        int[] threads = await Task.WhenAll(jobs);

        order.ShouldBe(Enumerable.Range(0, 20));
        threads.Distinct().Count().ShouldBe(1);
        (await worker.RunAsync(_ => (Thread.CurrentThread.Name, Thread.CurrentThread.IsThreadPoolThread), Ct)).ShouldBe(("w", false));
    }

    [Fact]
    public async Task RunAsync_ContinuationOfCaller_IsNotOnTheWorkersThread()
    {
        await using TensorWorker worker = new("w");

        int thread = await worker.RunAsync(_ => Environment.CurrentManagedThreadId, Ct);

        Environment.CurrentManagedThreadId.ShouldNotBe(thread);
    }

    [Fact]
    public async Task RunAsync_JobThatMakesTensors_LeavesNone()
    {
        await using TensorWorker worker = new("w");

        for (int i = 0; i < 50; i++)
        {
            float sum = await worker.RunAsync(_ => (torch.ones(8, 8).matmul(torch.ones(8, 8)) + i).sum().item<float>(), Ct);
            sum.ShouldBe((8 + i) * 64);
            worker.LeakedTensorCount.ShouldBe(0);
        }
    }

    [Fact]
    public async Task RunAsync_JobThatThrows_LeavesNoTensorsAndTheWorkerAlive()
    {
        await using TensorWorker worker = new("w");

        InvalidOperationException error = await Should.ThrowAsync<InvalidOperationException>(worker.RunAsync(token =>
        {
            _ = torch.ones(3) + 1;
            throw new InvalidOperationException("the job's own");
        }, Ct));

        error.Message.ShouldBe("the job's own");
        worker.LeakedTensorCount.ShouldBe(0);
        (await worker.RunAsync(_ => 7, Ct)).ShouldBe(7);
    }

    [Fact]
    public async Task LeakedTensorCount_OfDetachedTensors_CountsThemUntilDisposed()
    {
        await using TensorWorker worker = new("w");

        torch.Tensor kept = (await worker.RunAsync(_ => new[] { torch.ones(3).DetachFromDisposeScope() }, Ct))[0];
        worker.LeakedTensorCount.ShouldBe(1);
        await worker.RunAsync(token => { _ = kept * 2; }, Ct);
        worker.LeakedTensorCount.ShouldBe(1);
        await worker.RunAsync(_ => kept.Dispose(), Ct);
        worker.LeakedTensorCount.ShouldBe(0);
    }

    [Fact]
    public async Task RunAsync_WhenTheQueueIsFull_ThrowsBusyAndRecovers()
    {
        await using TensorWorker worker = new("w", capacity: 2);
        using Gate gate = new();
        Task running = gate.Occupy(worker);
        await gate.Entered;
        Task[] waiting = [worker.RunAsync(_ => { }, Ct), worker.RunAsync(_ => { }, Ct)];

        worker.QueueLength.ShouldBe(2);
        TensorWorkerBusyException busy = await Should.ThrowAsync<TensorWorkerBusyException>(worker.RunAsync(_ => { }, Ct));
        busy.Capacity.ShouldBe(2);
        busy.Message.ShouldContain("'w'");

        gate.Open();
        await Task.WhenAll([running, .. waiting]);
        worker.QueueLength.ShouldBe(0);
        (await worker.RunAsync(_ => 7, Ct)).ShouldBe(7);
    }

    [Fact]
    public async Task RunAsync_CancelledWhileWaiting_EndsAtOnceAndNeverRuns()
    {
        await using TensorWorker worker = new("w", capacity: 1);
        using Gate gate = new();
        using CancellationTokenSource source = new();
        bool hasRun = false;
        Task running = gate.Occupy(worker);
        await gate.Entered;
        Task waiting = worker.RunAsync(_ => { hasRun = true; }, source.Token);

        await source.CancelAsync();
        await Should.ThrowAsync<TaskCanceledException>(waiting);
        // Its place is free again, although the queue is full of it.
        Task<int> next = worker.RunAsync(_ => 7, Ct);

        gate.Open();
        await running;
        (await next).ShouldBe(7);
        hasRun.ShouldBeFalse();
    }

    [Fact]
    public async Task RunAsync_CancelledWhileRunning_FiresTheJobsToken()
    {
        await using TensorWorker worker = new("w");
        using CancellationTokenSource source = new();
        TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        Task job = worker.RunAsync(token =>
        {
            _ = torch.ones(2);
            entered.SetResult();
            token.WaitHandle.WaitOne();
            token.ThrowIfCancellationRequested();
        }, source.Token);
        await entered.Task;
        await source.CancelAsync();

        await Should.ThrowAsync<TaskCanceledException>(job);
        worker.LeakedTensorCount.ShouldBe(0);
    }

    [Fact]
    public async Task RunAsync_WithCancelledToken_NeverRuns()
    {
        await using TensorWorker worker = new("w");
        bool hasRun = false;

        await Should.ThrowAsync<TaskCanceledException>(worker.RunAsync(_ => { hasRun = true; }, new CancellationToken(true)));
        await worker.RunAsync(_ => { }, Ct);

        hasRun.ShouldBeFalse();
    }

    [Fact]
    public async Task RunAsync_OwnCancellationOfTheJob_IsNotTheCallers()
    {
        await using TensorWorker worker = new("w");

        Task job = worker.RunAsync(_ => throw new OperationCanceledException("some other token"), Ct);

        (await Should.ThrowAsync<OperationCanceledException>(job)).Message.ShouldBe("some other token");
    }

    [Fact]
    public async Task DisposeAsync_WithPendingJobs_CancelsThemAndStopsTheRunningOne()
    {
        TensorWorker worker = new("w");
        TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        bool hasRun = false;
        Task running = worker.RunAsync(token =>
        {
            entered.SetResult();
            token.WaitHandle.WaitOne();
            token.ThrowIfCancellationRequested();
        }, Ct);
        await entered.Task;
        Task[] waiting = [.. Enumerable.Range(0, 5).Select(_ => worker.RunAsync(_ => { hasRun = true; }, Ct))];

        await worker.DisposeAsync();

        await Should.ThrowAsync<TaskCanceledException>(running);
        foreach (Task job in waiting) await Should.ThrowAsync<TaskCanceledException>(job);
        hasRun.ShouldBeFalse();
    }

    [Fact]
    public async Task DisposeAsync_Twice_IsFineAndLaterJobsAreRefused()
    {
        TensorWorker worker = new("w");
        await Task.WhenAll(worker.DisposeAsync().AsTask(), worker.DisposeAsync().AsTask());
        await worker.DisposeAsync();

        (await Should.ThrowAsync<ObjectDisposedException>(worker.RunAsync(_ => 7, Ct))).Message.ShouldContain("'w'");
    }

    [Fact]
    public async Task RunAsync_OfAsynchronousJobOrTensorResult_IsRefused()
    {
        await using TensorWorker worker = new("w");

        Should.Throw<ArgumentException>(() => worker.RunAsync(async _ => await Task.Yield(), Ct)).Message.ShouldContain("synchronous");
        Should.Throw<ArgumentException>(() => worker.RunAsync(_ => torch.ones(1), Ct)).Message.ShouldContain("host memory");
    }

    [Fact]
    public async Task TwoWorkers_WithOpenScopes_NeverTouchEachOthersTensors()
    {
        await using TensorWorker first = new("first");
        await using TensorWorker second = new("second");
        using Barrier barrier = new(2);

        // In each round both scopes are open while both make tensors; then one scope closes while the other's tensors are read.
        Task<float> Work(TensorWorker worker, float value, bool closesEarly) => worker.RunAsync(token =>
        {
            float sum = 0;
            for (int round = 0; round < 100; round++)
            {
                using DisposeScope scope = torch.NewDisposeScope();
                barrier.SignalAndWait(token);
                torch.Tensor x = torch.full(16, value);
                torch.Tensor y = x * 2;
                barrier.SignalAndWait(token);
                if (closesEarly) scope.Dispose();
                barrier.SignalAndWait(token);
                if (closesEarly) x.IsInvalid.ShouldBeTrue();
                else sum += (x + y).sum().item<float>();
                torch.CurrentDisposeScope.ShouldNotBeNull();
            }

            return sum;
        }, Ct);
        float[] sums = await Task.WhenAll(Work(first, 1, closesEarly: true), Work(second, 2, closesEarly: false));

        sums.ShouldBe([0, 100 * 16 * 6]);
        first.LeakedTensorCount.ShouldBe(0);
        second.LeakedTensorCount.ShouldBe(0);
    }

    [Fact]
    public async Task RunAsync_FromManyThreads_RunsEveryJobOnce()
    {
        await using TensorWorker worker = new("w", capacity: 1000);
        int count = 0;

        await Task.WhenAll(Enumerable.Range(0, 1000).Select(_ => Task.Run(() => worker.RunAsync(_ => { count++; }, Ct), Ct)));

        count.ShouldBe(1000);
    }

    /// <summary>Keeps a worker busy until it is opened.</summary>
    private sealed class Gate : IDisposable
    {
        private readonly ManualResetEventSlim _open = new();
        private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Entered => _entered.Task;

        public Task Occupy(TensorWorker worker) => worker.RunAsync(token =>
        {
            _entered.SetResult();
            _open.Wait(token);
        }, Ct);

        public void Open() => _open.Set();

        public void Dispose() => _open.Dispose();
    }
}
