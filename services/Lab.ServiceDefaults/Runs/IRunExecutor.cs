using Google.Protobuf;
using Lab.Protos.Run.V1;

namespace Lab.ServiceDefaults.Runs;

/// <summary>Does the work of one kind of run. One instance serves all runs of the kind, several at a time if so configured.</summary>
/// <typeparam name="TRun">The run resource.</typeparam>
public interface IRunExecutor<TRun>
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    /// <summary>
    /// Does the work, from the beginning or from the last checkpoint in <see cref="RunContext{TRun}.WorkFolder"/>. A normal return means
    /// success; an exception means failure, with the status that <see cref="Errors.ErrorMapping"/> gives it.
    /// </summary>
    /// <param name="context">The run and the ways to tell of its progress.</param>
    /// <param name="ct">
    /// Cancelled by a cancel call and when the service stops. Then throw: after a cancel call the run is CANCELLED already, and when the
    /// service stops it stays RUNNING and is continued at the next start.
    /// </param>
    Task ExecuteAsync(RunContext<TRun> context, CancellationToken ct);
}
