using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Runs;

/// <summary>
/// The durable runs of one collection: creates, executes, cancels, resumes, lists and watches them. Each is stored in
/// "{data}/runs/{collection}/{id}/run.json", and those that a stopped or killed process left unfinished are continued at the next start.
/// Thread-safe. What it returns are copies.
/// </summary>
/// <typeparam name="TRun">The run resource.</typeparam>
public sealed partial class RunRegistry<TRun> : BackgroundService
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    private readonly ConcurrentDictionary<string, RunEntry<TRun>> _entries = new();
    private readonly Channel<RunEntry<TRun>> _queue = Channel.CreateUnbounded<RunEntry<TRun>>();
    private readonly Lock _creation = new();
    private readonly RunSettings _settings;
    private readonly IRunExecutor<TRun> _executor;
    private readonly string _data;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time;
    private readonly ILogger<RunRegistry<TRun>> _logger;
    private readonly RunStore<TRun> _store;
    private RunFolderLock? _folderLock;

    /// <summary>Called by <see cref="RunServices.AddRuns"/>. Runs are available once the host has started.</summary>
    internal RunRegistry(
        RunSettings settings, IRunExecutor<TRun> executor, IOptions<LabOptions> options, IHostApplicationLifetime lifetime, TimeProvider time,
        ILogger<RunRegistry<TRun>> logger, AtomicFile? file = null)
    {
        (_settings, _executor, _lifetime, _time, _logger) = (settings, executor, lifetime, time, logger);
        _data = options.Value.Data;
        _store = new RunStore<TRun>(Path.Combine(_data, "runs", settings.Collection), file ?? new AtomicFile(), logger);
    }

    [GeneratedRegex("^[a-z][a-z0-9-]{0,62}$", RegexOptions.NonBacktracking)]
    private static partial Regex IdPattern { get; }

    private static string ResourceType => new TRun().Descriptor.Name;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">Another process works on the same data folder.</exception>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        _folderLock = new RunFolderLock(_data, _settings.Collection);
        RunEntry<TRun>[] entries = [.. _store.Load().Select(NewEntry).OrderBy(e => e.CreateTime.ToDateTimeOffset())];
        foreach (RunEntry<TRun> entry in entries)
        {
            _entries[entry.Id] = entry;
            if (!entry.Recover()) continue;
            LogContinued(entry.Name);
            Enqueue(entry);
        }

        return base.StartAsync(cancellationToken);
    }

    /// <summary>
    /// Creates a run and returns at once. Idempotent: for an ID that exists with an equal config, returns that run as it stands.
    /// </summary>
    /// <param name="runId">1 to 63 lower-case letters, digits and hyphens, beginning with a letter; empty lets the registry choose.</param>
    /// <param name="run">The run with its config filled in. Its name and status are ignored.</param>
    /// <param name="prepare">
    /// Puts what a new run begins with into its work folder. Its exceptions pass through, and then the run does not exist. Not called
    /// for a run that exists.
    /// </param>
    /// <exception cref="InvalidRequestException">The ID is malformed: field "run_id".</exception>
    /// <exception cref="AbortedException">The ID exists with another config.</exception>
    /// <exception cref="IOException">The run could not be stored; then it does not exist.</exception>
    public TRun Create(string runId, TRun run, Action<string>? prepare = null)
    {
        string id = runId.Length == 0 ? $"run-{Guid.NewGuid().ToString("n")[..12]}" : runId;
        if (!IdPattern.IsMatch(id) || id.EndsWith('\n'))
            throw new InvalidRequestException("run_id", $"is '{id}', but must be 1 to 63 lower-case letters, digits and hyphens, beginning with a letter.");
        TRun request = run.Clone();
        request.Name = "";
        request.Status = null!;

        lock (_creation)
        {
            if (_entries.TryGetValue(id, out RunEntry<TRun>? existing))
            {
                return existing.Request.Equals(request)
                    ? existing.Snapshot()
                    : throw new AbortedException("RUN_EXISTS", $"The {ResourceType} '{existing.Name}' exists with another config.");
            }

            TRun created = request.Clone();
            created.Name = $"{_settings.Collection}/{id}";
            created.Status = new RunStatus { State = RunState.Queued, CreateTime = Timestamp.FromDateTimeOffset(_time.GetUtcNow()) };
            var record = new RunRecord<TRun>(id, request, created);
            _store.Create(record, prepare);
            RunEntry<TRun> entry = _entries[id] = NewEntry(record);
            Enqueue(entry);
            return entry.Snapshot();
        }
    }

    /// <summary>Gets a run.</summary>
    /// <param name="name">"{collection}/{id}".</param>
    /// <exception cref="InvalidRequestException">The name is not of this collection: field "name".</exception>
    /// <exception cref="NotFoundException">There is no such run.</exception>
    public TRun Get(string name) => Find(name).Snapshot();

    /// <summary>Lists runs, newest first.</summary>
    /// <param name="pageSize">The most to return; 0 means 50, above 1000 means 1000.</param>
    /// <param name="pageToken">The token that an earlier call returned, or empty.</param>
    /// <returns>The runs, and the token of the next page: empty at the end.</returns>
    /// <exception cref="InvalidRequestException">The size is negative or the token is none: field "page_size" or "page_token".</exception>
    public (IReadOnlyList<TRun> Runs, string NextPageToken) List(int pageSize, string pageToken)
    {
        (IReadOnlyList<RunEntry<TRun>> page, string next) = Pages.Take(
            _settings.Collection, _entries.Values.OrderBy(NewestFirst, StringComparer.Ordinal), NewestFirst, pageSize, pageToken);
        return ([.. page.Select(entry => entry.Snapshot())], next);

        static string NewestFirst(RunEntry<TRun> entry) => Pages.NewestFirst(entry.CreateTime.ToDateTimeOffset(), entry.Id);
    }

    /// <summary>Cancels a run that has not ended: it is CANCELLED on return, though its executor may take a while to stop.</summary>
    /// <inheritdoc cref="Get"/>
    public TRun Cancel(string name) => Find(name).Cancel();

    /// <summary>Returns a FAILED or CANCELLED run to the queue, to go on from its last checkpoint; does nothing to others.</summary>
    /// <param name="name">"{collection}/{id}".</param>
    /// <param name="change">Changes what callers asked of the run, if it is resumed.</param>
    /// <inheritdoc cref="Get"/>
    public TRun Resume(string name, Action<TRun>? change = null)
    {
        RunEntry<TRun> entry = Find(name);
        if (entry.TryResume(change)) Enqueue(entry);
        return entry.Snapshot();
    }

    /// <summary>Changes what callers asked of a run; it is on disk on return, and the executor finds it in its next update.</summary>
    /// <param name="name">"{collection}/{id}".</param>
    /// <param name="change">Changes a copy of the run that takes its place; throws, and then nothing has changed, if the run does not allow it.</param>
    /// <exception cref="IOException">The run could not be stored, and has not changed.</exception>
    /// <inheritdoc cref="Get"/>
    public TRun Change(string name, Action<TRun> change)
    {
        RunEntry<TRun> entry = Find(name);
        entry.Change(change, requeue: false);
        return entry.Snapshot();
    }

    /// <summary>Changes what callers asked of a run that has ended, and returns it to the queue, whatever its state.</summary>
    /// <remarks>Waits for the executor of a run that was cancelled: what that stores last is there when the change looks.</remarks>
    /// <exception cref="FailedPreconditionException">The run has not ended: "NOT_ENDED".</exception>
    /// <inheritdoc cref="Change"/>
    public async Task<TRun> ReopenAsync(string name, Action<TRun> change, CancellationToken ct)
    {
        RunEntry<TRun> entry = Find(name);
        await entry.Settled.WaitAsync(ct);
        entry.Change(
            run =>
            {
                if (!run.Status.State.IsFinal()) throw new FailedPreconditionException("NOT_ENDED", $"{name} has not ended.");
                change(run);
            },
            requeue: true);
        TRun reopened = entry.Snapshot();
        Enqueue(entry);
        return reopened;
    }

    /// <summary>The folder in which a run's executor works.</summary>
    /// <inheritdoc cref="Get"/>
    public string WorkFolder(string name) => _store.FolderOf(Find(name).Id);

    /// <summary>
    /// The run as it stands and after each change until it ends, at most ten times a second. A slow reader skips snapshots, never the
    /// last. The name is checked at once, before the first snapshot is asked for.
    /// </summary>
    /// <exception cref="UnavailableException">The service stops; watch again once it is back.</exception>
    /// <inheritdoc cref="Get"/>
    public IAsyncEnumerable<TRun> Watch(string name, CancellationToken ct) => WatchAsync(Find(name), ct);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _folderLock?.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // Only now is no executor left that could write.
        if (ExecuteTask is not { IsCompleted: false }) _folderLock?.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The lifetime's token comes first: at that time the server still answers.
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, _lifetime.ApplicationStopping);
        await Task.WhenAll(Enumerable.Range(0, _settings.MaxConcurrent).Select(_ => ConsumeAsync(stopping.Token)));
    }

    private async Task ConsumeAsync(CancellationToken stopping)
    {
        try
        {
            await foreach (RunEntry<TRun> entry in _queue.Reader.ReadAllAsync(stopping))
                await ExecuteAsync(entry, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The end of the service.
        }
    }

    private async Task ExecuteAsync(RunEntry<TRun> entry, CancellationToken stopping)
    {
        // A run that was cancelled and resumed may still have its old execution to get rid of.
        await entry.Returned.WaitAsync(stopping);
        using RunExecution<TRun>? execution = entry.TryStart(stopping);
        if (execution is null) return;
        try
        {
            await _executor.ExecuteAsync(execution.Context, execution.Source.Token);
            entry.End(execution, RunState.Succeeded);
        }
        catch (Exception) when (stopping.IsCancellationRequested)
        {
            // Whatever it is that the stop made the executor throw, the run is continued at the next start.
            entry.Leave(execution);
        }
        catch (Exception e)
        {
            Fail(entry, execution, e is OperationCanceledException ? new InvalidOperationException("Work was cancelled from within.", e) : e);
        }
    }

    private void Fail(RunEntry<TRun> entry, RunExecution<TRun> execution, Exception e)
    {
        // After a cancel call the run has ended, and what its executor threw is only the way out.
        if (execution.Source.IsCancellationRequested) return;
        Google.Rpc.Status error = _store.Storable(ErrorMapping.ToStatus(e));
        if (ErrorMapping.IsInternal(error)) LogFault(e, entry.Name);
        else LogFailed(entry.Name, error.Message);
        entry.End(execution, RunState.Failed, error);
    }

    private async IAsyncEnumerable<TRun> WatchAsync(RunEntry<TRun> entry, [EnumeratorCancellation] CancellationToken ct)
    {
        while (true)
        {
            (TRun run, Task changed, Task ended) = entry.Observe();
            yield return run;
            if (run.Status.State.IsFinal()) yield break;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, _lifetime.ApplicationStopping);
            try
            {
                await changed.WaitAsync(either.Token);
                await Task.WhenAny(ended, Task.Delay(_settings.WatchInterval, _time, either.Token));
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                throw new UnavailableException("SERVICE_STOPPING", "The service is stopping; the run goes on when it is back.", TimeSpan.FromSeconds(1));
            }
        }
    }

    private RunEntry<TRun> Find(string name)
    {
        string prefix = _settings.Collection + "/";
        if (!name.StartsWith(prefix, StringComparison.Ordinal))
            throw new InvalidRequestException("name", $"is '{name}', but must be of the form '{prefix}{{id}}'.");
        return _entries.TryGetValue(name[prefix.Length..], out RunEntry<TRun>? entry) ? entry : throw new NotFoundException(ResourceType, name);
    }

    private RunEntry<TRun> NewEntry(RunRecord<TRun> record) => new(record, _store, _time, _logger);

    private void Enqueue(RunEntry<TRun> entry)
    {
        // An unbounded channel that is never closed takes everything.
        _ = _queue.Writer.TryWrite(entry);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Run} is continued")]
    private partial void LogContinued(string run);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Run} failed: {Detail}")]
    private partial void LogFailed(string run, string detail);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Run} failed")]
    private partial void LogFault(Exception e, string run);
}
