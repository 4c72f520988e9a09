using Lab.Models;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Scheduling;

/// <summary>
/// Gives the requests for one model their turns on the model's thread: one forward pass at a time, as many requests in it as fit
/// together, or one work that runs alone. It never waits for more to come; while a pass runs, the next ones gather. Each turn is a job
/// of its own in the thread's queue, so that other jobs get theirs in between. Thread-safe.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="worker">Its thread.</param>
/// <param name="options">Limits.</param>
/// <param name="parameters">The model's parameters.</param>
/// <param name="time">The clock.</param>
internal sealed class ModelScheduler(Transformer model, TensorWorker worker, ModelHostOptions options, long parameters, TimeProvider time)
{
    /// <summary>The waiting that makes up for a step of priority.</summary>
    public static readonly TimeSpan Aging = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan MinRetry = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan MaxRetry = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly WorkQueue _waiting = new(time);
    private readonly WorkQueue _ready = new(time);
    private readonly Queue<ModelWork> _abandoned = new();
    private readonly BatchRules _rules = new(model.Config, options);
    private readonly FairShare _share = new();
    private readonly Throughput _throughput = new(parameters);
    private List<ModelWork> _running = [];
    private long _runningSince;
    private long _runningTokens;
    private bool _isContended;
    private bool _isPumping;

    /// <summary>The work that waits now.</summary>
    public QueueState State
    {
        get
        {
            lock (_gate) return new QueueState(_waiting.Count, _running.Count + _ready.Count, Wait());
        }
    }

    /// <summary>After what time what waits or runs now will have had its turn; null if nothing does, or it should have by now.</summary>
    public TimeSpan? RetryAfter
    {
        get
        {
            lock (_gate) return Wait() is { Ticks: > 0 } wait ? Bounded(wait) : null;
        }
    }

    /// <summary>Queues a request.</summary>
    /// <exception cref="ResourceExhaustedException">Too many requests or tokens wait.</exception>
    /// <exception cref="TensorWorkerBusyException">Too many other jobs wait for the thread.</exception>
    public void Submit(ModelWork work)
    {
        lock (_gate)
        {
            if (_waiting.Count >= options.QueueCapacity || (_waiting.Count > 0 && _waiting.Tokens + work.Shape.Tokens > options.MaxQueuedTokens))
            {
                string message = $"{_waiting.Count} requests of {_waiting.Tokens} tokens wait for the model; the most are {options.QueueCapacity} and {options.MaxQueuedTokens}. Try again later.";
                throw new ResourceExhaustedException("WORKER_BUSY", message, Bounded(Wait()));
            }

            if (!_isPumping) StartPump();
            work.State = WorkState.Waiting;
            _waiting.Add(work);
        }

        CancellationTokenRegistration registration = work.Token.UnsafeRegister((_, token) => Leave(work, token), null);
        lock (_gate)
        {
            // A call that queues one after another would keep all of them otherwise.
            if (work.State == WorkState.Ended) registration.Unregister();
            else work.Registration = registration;
        }
    }

    /// <summary>Takes a request out that is not in a pass. One that is ends at the pass's next hook.</summary>
    private void Leave(ModelWork work, CancellationToken token)
    {
        lock (_gate)
        {
            if (work.State is not (WorkState.Waiting or WorkState.Ready)) return;
            (work.State == WorkState.Waiting ? _waiting : _ready).Remove(work);
            Forget(work);
        }

        work.Abandon(new OperationCanceledException(token));
    }

    /// <summary>Marks a request that has ended between passes; what it holds is freed by the thread that made it. Called under the gate.</summary>
    private void Forget(ModelWork work)
    {
        work.State = WorkState.Ended;
        _abandoned.Enqueue(work);
        if (_isPumping) return;
        try
        {
            StartPump();
        }
        catch (Exception e) when (e is TensorWorkerBusyException or ObjectDisposedException)
        {
            // The next pass frees it, or the end of the model, which owns the memory's device.
        }
    }

    /// <summary>Asks for a turn on the thread. Called under the gate.</summary>
    private void StartPump()
    {
        Task turn = worker.RunAsync(Pump, CancellationToken.None);
        if (turn.IsFaulted) throw turn.Exception.InnerException!;
        _isPumping = true;
        _ = WatchAsync(turn);
    }

    /// <summary>A turn that could not run must leave nobody waiting.</summary>
    private async Task WatchAsync(Task turn)
    {
        try
        {
            await turn.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            ModelWork[] left;
            lock (_gate)
            {
                left = [.. _waiting.Clear(), .. _ready.Clear()];
                foreach (ModelWork work in left) work.State = WorkState.Ended;
                _isPumping = false;
            }

            foreach (ModelWork work in left) work.Abandon(e);
        }
    }

    /// <summary>One turn.</summary>
    private void Pump(CancellationToken stopping)
    {
        while (true)
        {
            ModelWork[] abandoned;
            List<ModelWork> batch;
            lock (_gate)
            {
                abandoned = [.. _abandoned];
                _abandoned.Clear();
                batch = _running = Next();
                (_runningSince, _runningTokens) = (time.GetTimestamp(), TokensOf(batch));
            }

            foreach (ModelWork work in abandoned) Release(work);
            if (batch.Count > 0) Run(batch, stopping);
            lock (_gate)
            {
                if (_waiting.Count + _ready.Count + _abandoned.Count == 0)
                {
                    _isPumping = false;
                    return;
                }

                Task turn = worker.RunAsync(Pump, CancellationToken.None);
                if (!turn.IsFaulted)
                {
                    _ = WatchAsync(turn);
                    return;
                }
            }

            // The queue for turns is full of other jobs, so this turn goes on; or the thread ends.
            stopping.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Takes what runs next. Called under the gate.</summary>
    private List<ModelWork> Next()
    {
        _isContended = _waiting.Count > 0 && _ready.Count > 0;
        WorkQueue queue = _share.PrefersSecond(_waiting.Priority, _ready.Priority) ? _ready : _waiting;
        if (queue.Count == 0) return [];
        List<ModelWork> batch = _rules.Choose(queue.ByUrgency);
        foreach (ModelWork work in batch)
        {
            queue.Remove(work);
            work.State = WorkState.Running;
        }

        return batch;
    }

    private void Run(List<ModelWork> batch, CancellationToken stopping)
    {
        SharedPass pass = new(batch.Count, batch.Sum(work => work.Shape.Rows), time.GetTimestamp(), stopping);
        long tokens = TokensOf(batch);
        bool isDecoding = batch[0].Shape.Kind == PassKind.Decode;
        Exception?[] failures = Turn.Run(model, batch, pass);
        TimeSpan elapsed = time.GetElapsedTime(pass.Started);
        bool[] goesOn = [.. batch.Select((work, i) => End(work, failures[i], elapsed))];
        List<ModelWork> cancelled = [];
        lock (_gate)
        {
            // What ended early says nothing of how long all of it takes.
            if (failures.Any(failure => failure is null)) _throughput.Add(tokens, elapsed);
            if (_isContended) _share.Spend(isDecoding, elapsed);
            _running = [];
            for (int i = 0; i < batch.Count; i++)
            {
                batch[i].State = !goesOn[i] ? WorkState.Ended : batch[i].Token.IsCancellationRequested ? WorkState.Ended : WorkState.Ready;
                if (batch[i].State == WorkState.Ready) _ready.Add(batch[i]);
                else batch[i].Registration.Unregister();
                if (goesOn[i] && batch[i].State == WorkState.Ended) cancelled.Add(batch[i]);
            }
        }

        foreach (ModelWork work in cancelled)
        {
            Release(work);
            work.Abandon(new OperationCanceledException(work.Token));
        }
    }

    /// <summary>Ends a request's turn. One that fails at that fails alone: the others of its pass are to end too.</summary>
    private static bool End(ModelWork work, Exception? failure, TimeSpan elapsed)
    {
        try
        {
            return work.End(failure, elapsed);
        }
        catch (Exception e)
        {
            Release(work);
            work.Abandon(failure ?? e);
            return false;
        }
    }

    /// <summary>Frees what a request holds. Nobody waits for it but the next one, which must not suffer.</summary>
    private static void Release(ModelWork work)
    {
        try
        {
            work.Dispose();
        }
        catch (Exception e)
        {
            work.Abandon(e);
        }
    }

    /// <summary>Tokens of a turn, padding included.</summary>
    private static long TokensOf(List<ModelWork> batch) =>
        batch.Count < 2 ? batch.Sum(work => work.Shape.Tokens) : batch.Sum(work => (long)work.Shape.Rows) * batch.Max(work => work.Shape.Length);

    /// <summary>The wait of a small request of normal priority. Called under the gate.</summary>
    private TimeSpan Wait()
    {
        TimeSpan rest = _running.Count == 0 ? TimeSpan.Zero : _throughput.TimeOf(_runningTokens) - time.GetElapsedTime(_runningSince);
        TimeSpan ahead = _throughput.TimeOf(_waiting.TokensBefore(WorkPriority.Normal));
        // Where sequences are being decoded, they have half of the time.
        if (_ready.Count > 0) ahead *= 2;
        return ahead + (rest > TimeSpan.Zero ? rest : TimeSpan.Zero);
    }

    private static TimeSpan Bounded(TimeSpan wait) => wait < MinRetry ? MinRetry : wait > MaxRetry ? MaxRetry : wait;
}
