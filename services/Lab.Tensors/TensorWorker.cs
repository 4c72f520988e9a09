using TorchSharp;

namespace Lab.Tensors;

/// <summary>
/// Runs all tensor work of one owner (a loaded model, a training run) as synchronous jobs, one at a time and in order, on
/// one dedicated thread. libtorch's dispose scopes and gradient modes are thread-static, and would be lost or corrupt other
/// requests across an await; here nothing is awaited while one is open. Each job runs inside a dispose scope of its own:
/// a tensor that is to outlive its job must be detached from the scope and owned by a disposable object.
/// Thread-safe. Dispose it when its owner goes.
/// </summary>
public sealed class TensorWorker : IAsyncDisposable
{
    private readonly Queue<TensorJob> _queue = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopping = new();
    private readonly string _name;
    private readonly int _capacity;
    private bool _isStopping;
    private long _liveTensorCount;

    /// <summary>Starts the thread.</summary>
    /// <param name="name">The name of the worker and its thread, for messages and debuggers.</param>
    /// <param name="capacity">How many jobs may wait, besides the one that runs; at least 1, by default 64.</param>
    public TensorWorker(string name, int capacity = 64)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _name = name;
        _capacity = capacity;
        // Unsafe: the thread outlives the caller, so it must not keep the caller's execution context.
        new Thread(RunJobs) { Name = name, IsBackground = true }.UnsafeStart();
    }

    /// <summary>The number of jobs that wait, without the one that runs.</summary>
    public int QueueLength
    {
        get
        {
            lock (_queue) return _queue.Count;
        }
    }

    /// <summary>
    /// How many of the tensors that jobs made on the thread are still alive now that the jobs have ended: those that an owner
    /// keeps on purpose, and those that leaked. It stays constant over equal jobs, at 0 where no job keeps anything.
    /// A tensor that was disposed on another thread still counts.
    /// </summary>
    public long LeakedTensorCount => Interlocked.Read(ref _liveTensorCount);

    /// <summary>Queues a job and awaits its result.</summary>
    /// <typeparam name="T">The type of the result: plain managed data, such as <see cref="HostTensor"/>; never a tensor, which would die with the job, nor a task.</typeparam>
    /// <param name="job">The synchronous work. It gets a token that fires when <paramref name="ct"/> does or the worker is disposed, and should heed it about once a layer or step.</param>
    /// <param name="ct">Cancels the job: at once if it still waits, else through its token.</param>
    /// <returns>A task that ends with what the job returned or threw.</returns>
    /// <exception cref="TensorWorkerBusyException">The queue is full.</exception>
    /// <exception cref="OperationCanceledException">The job was cancelled, or the worker was disposed before it ended.</exception>
    /// <exception cref="ObjectDisposedException">The worker was disposed before the call.</exception>
    public Task<T> RunAsync<T>(Func<CancellationToken, T> job, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(job);
        if (typeof(Task).IsAssignableFrom(typeof(T))) throw new ArgumentException("A tensor job must be synchronous: it returns a task.", nameof(job));
        if (typeof(torch.Tensor).IsAssignableFrom(typeof(T))) throw new ArgumentException("A tensor job must not return a tensor, which dies with its scope: return host memory.", nameof(job));
        if (ct.IsCancellationRequested) return Task.FromCanceled<T>(ct);

        TensorJob<T> item = new(job, ct);
        lock (_queue)
        {
            if (_isStopping || !HasRoom())
            {
                item.Release();
                return Task.FromException<T>(_isStopping ? new ObjectDisposedException($"Tensor worker '{_name}'") : new TensorWorkerBusyException(_name, _capacity));
            }

            _queue.Enqueue(item);
            Monitor.Pulse(_queue);
        }

        return item.Result;
    }

    /// <summary>Queues a job without a result. See the overload with one.</summary>
    /// <param name="job">The synchronous work.</param>
    /// <param name="ct">Cancels the job.</param>
    /// <returns>A task that ends when the job has.</returns>
    public Task RunAsync(Action<CancellationToken> job, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(job);
        return RunAsync(
            token =>
            {
                job(token);
                return true;
            },
            ct);
    }

    /// <summary>
    /// Takes no more jobs, cancels those that wait, asks the running one to stop through its token, and completes when the
    /// thread has ended. Not to be awaited by a job. May be called more than once.
    /// </summary>
    /// <returns>A task that ends with the thread.</returns>
    public async ValueTask DisposeAsync()
    {
        bool isFirst;
        lock (_queue)
        {
            isFirst = !_isStopping;
            _isStopping = true;
            Monitor.Pulse(_queue);
        }

        if (isFirst) await _stopping.CancelAsync();
        await _ended.Task;
        if (isFirst) _stopping.Dispose();
    }

    private void RunJobs()
    {
        while (Dequeue() is { } job)
        {
            using (torch.NewDisposeScope()) job.Run(_stopping.Token);
            Interlocked.Exchange(ref _liveTensorCount, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            job.Complete();
        }

        _ended.SetResult();
    }

    /// <summary>Whether the queue has room, after the jobs that were cancelled while waiting are thrown out of a full one.</summary>
    private bool HasRoom()
    {
        if (_queue.Count < _capacity) return true;
        for (int i = _queue.Count; i > 0; i--)
        {
            if (_queue.Dequeue() is { IsCancelled: false } waiting) _queue.Enqueue(waiting);
        }

        return _queue.Count < _capacity;
    }

    /// <summary>Waits for a job; null when the worker stops, after cancelling the jobs that are left.</summary>
    private TensorJob? Dequeue()
    {
        lock (_queue)
        {
            while (_queue.Count == 0 && !_isStopping) Monitor.Wait(_queue);
            if (!_isStopping) return _queue.Dequeue();
            while (_queue.TryDequeue(out TensorJob? job))
            {
                job.Release();
                job.Cancel(_stopping.Token);
            }

            return null;
        }
    }
}
