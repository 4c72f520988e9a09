using Grpc.Core;
using Lab.Protos.SparseTraining.V1;

namespace Lab.ServiceDefaults.Tests.Clients;

/// <summary>What the service of a test does; the first argument counts the calls from 1.</summary>
public sealed class TrainingBehaviour
{
    private int _calls;

    public int Calls => _calls;

    public DateTime Deadline { get; set; }

    public TaskCompletionSource Received { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Func<int, CancellationToken, Task> Get { get; set; } = (_, _) => Task.CompletedTask;

    public Func<int, Func<CorpusRun, Task>, CancellationToken, Task> Watch { get; set; } = (_, _, _) => Task.CompletedTask;

    public int Next() => Interlocked.Increment(ref _calls);
}

/// <summary>Two methods of a service of the lab.</summary>
public sealed class TrainingEndpoint(TrainingBehaviour behaviour) : SparseTrainingService.SparseTrainingServiceBase
{
    public override async Task<CorpusRun> GetCorpusRun(GetCorpusRunRequest request, ServerCallContext context)
    {
        int call = behaviour.Next();
        behaviour.Deadline = context.Deadline;
        await behaviour.Get(call, context.CancellationToken);
        await context.WriteResponseHeadersAsync(new Metadata { { "call", $"{call}" } });
        return new CorpusRun { Name = request.Name };
    }

    public override Task WatchCorpusRun(WatchCorpusRunRequest request, IServerStreamWriter<CorpusRun> responseStream, ServerCallContext context) =>
        behaviour.Watch(behaviour.Next(), r => responseStream.WriteAsync(r, context.CancellationToken), context.CancellationToken);
}
