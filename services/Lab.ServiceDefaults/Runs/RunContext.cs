using Google.Protobuf;
using Lab.Protos.Run.V1;

namespace Lab.ServiceDefaults.Runs;

/// <summary>What an executor has of its run. Thread-safe.</summary>
/// <param name="run">The run as it stands; the context owns it from now on.</param>
/// <param name="workFolder">An existing folder.</param>
/// <param name="isResumed">Whether the run was worked on before.</param>
/// <param name="update">Applies a change to the run; whether it must be on disk on return.</param>
/// <param name="time">The clock of the ETA.</param>
public sealed class RunContext<TRun>(TRun run, string workFolder, bool isResumed, Action<Action<TRun>, bool> update, TimeProvider time)
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    private readonly ProgressClock _clock = new(time);

    /// <summary>The run as it stood when this execution began. The executor's own copy: read the config from it; changes go nowhere.</summary>
    public TRun Run { get; } = run;

    /// <summary>
    /// The run's own folder, "{data}/runs/{collection}/{id}". It survives restarts and is empty, but for the run's own record, when the
    /// run is new: the place for checkpoints. Names that begin with "run." and "request." are taken, and files ".tmp" in it are deleted
    /// when the service starts.
    /// </summary>
    public string WorkFolder { get; } = workFolder;

    /// <summary>Whether the run was worked on before, so that <see cref="WorkFolder"/> may hold a checkpoint.</summary>
    public bool IsResumed { get; } = isResumed;

    /// <summary>
    /// Changes the run and shows it to those who watch. It is on disk within about a second, at the latest when the execution ends, or
    /// on return if <paramref name="persist"/>. Does nothing once the run was cancelled.
    /// </summary>
    /// <param name="change">Changes outputs of the run: neither its name, nor its config, nor its state.</param>
    /// <param name="persist">Whether the change must survive a crash from now on.</param>
    /// <exception cref="IOException">The run could not be stored; only if <paramref name="persist"/>.</exception>
    public void Update(Action<TRun> change, bool persist = false) => update(change, persist);

    /// <summary>
    /// Tells how far the run is. The ETA comes from the rate since the phase was first reported, and so leaves out what an earlier
    /// execution did.
    /// </summary>
    /// <param name="phase">What the run is doing now: "training".</param>
    /// <param name="completed">Units done in this phase.</param>
    /// <param name="total">Units in this phase; 0 when unknown.</param>
    /// <param name="unit">What is counted: "steps".</param>
    public void Report(string phase, long completed, long total, string unit)
    {
        Progress progress = _clock.Measure(phase, completed, total, unit);
        Update(r => r.Status.Progress = progress);
    }

    /// <summary>Sets the latest value of a metric.</summary>
    public void Metric(string name, double value) => Update(r => r.Status.Metrics[name] = value);
}
