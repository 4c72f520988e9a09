using System.Runtime.CompilerServices;
using Grpc.Core;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.Standalone.Running;

/// <summary>Starts or continues a run and follows it to its end.</summary>
internal sealed class RunSession(ExperimentService.ExperimentServiceClient client, TimeProvider time)
{
    private const int PageSize = 200;

    private static readonly TimeSpan _callTimeout = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The newest run of the same experiment and parameters goes on if it did not succeed; otherwise a new one begins, whose steps
    /// are taken from earlier runs where their inputs are equal.
    /// </summary>
    /// <param name="request">What to run.</param>
    /// <param name="runId">The run's ID; null lets the gateway choose, or continues an earlier run.</param>
    /// <param name="isFresh">Begin anew, and compute everything.</param>
    /// <param name="cancellationToken">Cancels the calls, not the run.</param>
    public async Task<(ExperimentRun Run, bool IsContinued)> StartAsync(
        RunRequest request, string? runId, bool isFresh, CancellationToken cancellationToken)
    {
        ExperimentRun? earlier = isFresh ? null : runId is null ? await FindUnfinishedAsync(request, cancellationToken) : null;
        ExperimentRun run = earlier ?? await client.CreateExperimentRunAsync(Create(request, runId, isFresh), Options(cancellationToken));
        if (run.Status.State is not (RunState.Failed or RunState.Cancelled)) return (run, earlier is not null);
        run = await client.ResumeExperimentRunAsync(new ResumeExperimentRunRequest { Name = run.Name }, Options(cancellationToken));
        return (run, true);
    }

    /// <summary>Snapshots of the run until it ends, across restarts of the gateway.</summary>
    public IAsyncEnumerable<ExperimentRun> WatchAsync(string name, CancellationToken cancellationToken) => LabResilience.WatchAsync(
        ct => client.WatchExperimentRun(new WatchExperimentRunRequest { Name = name }, cancellationToken: ct), cancellationToken, time);

    /// <summary>Cancels the run and waits until it has stopped.</summary>
    public async Task<ExperimentRun> CancelAsync(string name, CancellationToken cancellationToken)
    {
        ExperimentRun run = await client.CancelExperimentRunAsync(new CancelExperimentRunRequest { Name = name }, Options(cancellationToken));
        await foreach (ExperimentRun snapshot in WatchAsync(name, cancellationToken)) run = snapshot;
        return run;
    }

    /// <summary>Other runs that are not at their end: of other clients, or left by a lab that was killed and going on now.</summary>
    public async Task<List<string>> FindOthersAtWorkAsync(string name, CancellationToken cancellationToken)
    {
        List<string> others = [];
        await foreach (ExperimentRun run in AllAsync(cancellationToken))
        {
            if (run.Name != name && !run.Status.State.IsFinal()) others.Add(run.Name);
        }

        return others;
    }

    private async Task<ExperimentRun?> FindUnfinishedAsync(RunRequest request, CancellationToken cancellationToken)
    {
        await foreach (ExperimentRun run in AllAsync(cancellationToken))
        {
            if (request.IsSame(run)) return run.Status.State == RunState.Succeeded ? null : run;
        }

        return null;
    }

    /// <summary>All runs, newest first.</summary>
    private async IAsyncEnumerable<ExperimentRun> AllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string token = "";
        do
        {
            ListExperimentRunsResponse page = await client.ListExperimentRunsAsync(
                new ListExperimentRunsRequest { PageSize = PageSize, PageToken = token }, Options(cancellationToken));
            foreach (ExperimentRun run in page.ExperimentRuns) yield return run;
            token = page.NextPageToken;
        }
        while (token.Length > 0);
    }

    private static CreateExperimentRunRequest Create(RunRequest request, string? runId, bool isFresh)
    {
        var create = new CreateExperimentRunRequest { RunId = runId ?? "", Parameters = request.Set, IgnoreCache = isFresh };
        if (request.IsFile) create.Yaml = request.Yaml;
        else create.Experiment = request.Experiment;
        return create;
    }

    private CallOptions Options(CancellationToken cancellationToken) =>
        new(deadline: time.GetUtcNow().UtcDateTime + _callTimeout, cancellationToken: cancellationToken);
}
