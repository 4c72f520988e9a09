using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Logging;
using Status = Google.Rpc.Status;

namespace Lab.ServiceDefaults.Runs;

/// <summary>One run in memory: its state machine, and the signal to those who watch. Thread-safe.</summary>
internal sealed partial class RunEntry<TRun>(RunRecord<TRun> record, RunStore<TRun> store, TimeProvider time, ILogger logger)
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    /// <summary>So often in a row a process may end in the midst of a run that gets no further, before the run is given up.</summary>
    private const int MaxInterruptions = 5;
    private static readonly TimeSpan PersistInterval = TimeSpan.FromSeconds(1);
    private readonly Lock _lock = new();
    private TRun _run = record.Run;
    private TaskCompletionSource _changed = NewSignal();
    private TaskCompletionSource _ended = NewSignal();
    private CancellationTokenSource? _execution;
    private long _persistTimestamp = time.GetTimestamp();

    public string Id => record.Id;

    public string Name => record.Run.Name;

    public Timestamp CreateTime { get; } = record.Run.Status.CreateTime;

    public TRun Request => record.Request;

    /// <summary>Ends when the last execution has returned; none may begin before.</summary>
    public Task Returned { get; private set; } = Task.CompletedTask;

    /// <summary>Ends when no execution of a run that has ended is left; at once for a run that has not.</summary>
    public Task Settled
    {
        get
        {
            lock (_lock) return _run.Status.State.IsFinal() ? Returned : Task.CompletedTask;
        }
    }

    /// <summary>A copy of the run now, and the signals of its next change and of its end.</summary>
    public (TRun Run, Task Changed, Task Ended) Observe()
    {
        lock (_lock) return (_run.Clone(), _changed.Task, _ended.Task);
    }

    public TRun Snapshot() => Observe().Run;

    /// <summary>
    /// Takes up a run that an earlier process left QUEUED or RUNNING. Returns whether it is to be worked on: one that may itself be what
    /// ends the process, by a fault in native code or for want of memory, must not do so for ever.
    /// </summary>
    public bool Recover()
    {
        lock (_lock)
        {
            if (_run.Status.State.IsFinal())
            {
                _ended.SetResult();
                return false;
            }

            if (_run.Status.State == RunState.Running && CountInterruptions() >= MaxInterruptions)
            {
                Finish(RunState.Failed, ErrorMapping.ToStatus(new AbortedException("RUN_INTERRUPTED", $"The process ended {MaxInterruptions} times while it worked on {Name}, which got no further than {Furthest()}. Look whether memory runs out; then resume it, or create one that asks for less.")));
                LogGivenUp(Name);
                return false;
            }

            _run.Status.State = RunState.Queued;
            _run.Status.ResumeCount++;
            Changed();
            return true;
        }
    }

    /// <summary>
    /// Begins an execution. Returns null if the run is not QUEUED (cancelled while it waited), or if its last execution has not
    /// returned (it was resumed since, and so is in the queue once more).
    /// </summary>
    public RunExecution<TRun>? TryStart(CancellationToken stopping)
    {
        lock (_lock)
        {
            if (_run.Status.State != RunState.Queued || !Returned.IsCompleted) return null;
            bool isResumed = _run.Status.StartTime is not null;
            _run.Status.State = RunState.Running;
            _run.Status.StartTime ??= Now();
            var source = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            _execution = source;
            Changed();
            var context = new RunContext<TRun>(
                _run.Clone(), store.FolderOf(Id), isResumed, (change, persist) => Update(source, change, persist), time);
            var execution = new RunExecution<TRun>(context, source);
            Returned = execution.Returned;
            return execution;
        }
    }

    /// <summary>Ends an execution; without effect if the run was cancelled meanwhile.</summary>
    public void End(RunExecution<TRun> execution, RunState state, Status? error = null)
    {
        lock (_lock)
        {
            if (_execution == execution.Source) Finish(state, error);
        }
    }

    /// <summary>Returns the run to the queue, with its latest progress on disk, to be continued at the next start.</summary>
    public void Leave(RunExecution<TRun> execution)
    {
        lock (_lock)
        {
            if (_execution != execution.Source) return;
            _execution = null;
            // Not RUNNING: that is how a process that is killed leaves it.
            _run.Status.State = RunState.Queued;
            Persist(mustPersist: false);
        }
    }

    public TRun Cancel()
    {
        CancellationTokenSource? execution;
        lock (_lock)
        {
            execution = _execution;
            if (!_run.Status.State.IsFinal()) Finish(RunState.Cancelled, null);
        }

        try
        {
            // On other threads: the executor's own code may follow at once, and is not the caller's business.
            _ = execution?.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // The execution has just returned by itself.
        }

        return Snapshot();
    }

    /// <summary>Returns a FAILED or CANCELLED run to the queue; whether it did.</summary>
    public bool TryResume(Action<TRun>? change)
    {
        lock (_lock)
        {
            if (_run.Status.State is not (RunState.Failed or RunState.Cancelled)) return false;
            change?.Invoke(_run);
            Requeue();
            Changed();
            return true;
        }
    }

    /// <summary>Changes a run at the wish of a caller; it is on disk on return.</summary>
    /// <param name="change">Its exceptions pass through, and then nothing has changed.</param>
    /// <param name="requeue">Whether the run, which must have ended, returns to the queue.</param>
    public void Change(Action<TRun> change, bool requeue)
    {
        lock (_lock)
        {
            TRun before = _run;
            TRun changed = _run.Clone();
            change(changed);
            _run = changed;
            TaskCompletionSource ended = _ended;
            if (requeue) Requeue();
            try
            {
                Persist(mustPersist: true);
            }
            catch
            {
                (_run, _ended) = (before, ended);
                throw;
            }

            Signal();
        }
    }

    private void Requeue()
    {
        _run.Status.State = RunState.Queued;
        _run.Status.Error = null;
        _run.Status.EndTime = null;
        _run.Status.Interruptions = null;
        _ended = NewSignal();
    }

    private int CountInterruptions()
    {
        Interruptions seen = _run.Status.Interruptions ??= new Interruptions();
        Progress? furthest = seen.Furthest;
        bool isFurther = _run.Status.Progress is { } progress && (furthest is null || progress.Phase != furthest.Phase || progress.Completed > furthest.Completed);
        if (isFurther) seen.Furthest = _run.Status.Progress!.Clone();
        return seen.Count = isFurther ? 1 : seen.Count + 1;
    }

    private string Furthest() => _run.Status.Interruptions.Furthest is { } furthest ? $"{furthest.Completed} of {furthest.Total} {furthest.Unit} ({furthest.Phase})" : "its start";

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Update(CancellationTokenSource execution, Action<TRun> change, bool persist)
    {
        lock (_lock)
        {
            if (_execution != execution) return;
            change(_run);
            if (persist || time.GetElapsedTime(_persistTimestamp) >= PersistInterval) Persist(persist);
            Signal();
        }
    }

    private void Finish(RunState state, Status? error)
    {
        _execution = null;
        _run.Status.State = state;
        _run.Status.Error = error;
        _run.Status.EndTime = Now();
        if (_run.Status.Progress is { } progress) progress.Eta = null;
        Changed();
        _ended.TrySetResult();
    }

    private void Changed()
    {
        Persist(mustPersist: false);
        Signal();
    }

    private void Signal()
    {
        TaskCompletionSource changed = _changed;
        _changed = NewSignal();
        changed.SetResult();
    }

    /// <summary>What could not be stored is stored with the next change; the run itself goes on.</summary>
    private void Persist(bool mustPersist)
    {
        _persistTimestamp = time.GetTimestamp();
        try
        {
            store.Save(Id, _run);
        }
        catch (Exception e) when (!mustPersist && e is IOException or UnauthorizedAccessException)
        {
            LogNotPersisted(e, Name, _run.Status.State);
        }
    }

    private Timestamp Now() => Timestamp.FromDateTimeOffset(time.GetUtcNow());

    [LoggerMessage(Level = LogLevel.Error, Message = "{Run} is given up: the process ended too often while it worked on it")]
    private partial void LogGivenUp(string run);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Run}, {State}, could not be stored; the copy on disk is older")]
    private partial void LogNotPersisted(Exception e, string run, RunState state);
}
