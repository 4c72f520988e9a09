using Google.Protobuf;
using Lab.Protos.Run.V1;

namespace Lab.ServiceDefaults.Runs;

/// <summary>One attempt at a run.</summary>
/// <param name="Context">What the executor is given.</param>
/// <param name="Source">Stops the attempt; its identity tells this attempt from later ones.</param>
internal sealed record RunExecution<TRun>(RunContext<TRun> Context, CancellationTokenSource Source) : IDisposable
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    private readonly TaskCompletionSource _returned = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the executor has returned.</summary>
    public Task Returned => _returned.Task;

    public void Dispose()
    {
        Source.Dispose();
        _returned.SetResult();
    }
}
