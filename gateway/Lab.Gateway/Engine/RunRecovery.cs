using Lab.Gateway.Storage;
using Lab.Protos.Run.V1;

namespace Lab.Gateway.Engine;

/// <summary>When the gateway starts: lists the runs that are stored, and goes on with those that have not ended.</summary>
internal sealed partial class RunRecovery(FileGrainStorage storage, RunIndex index, IGrainFactory grains, ILogger<RunRecovery> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (string id in storage.Keys(ExperimentRunState.Name))
        {
            try
            {
                ExperimentRunState? state = await storage.FindAsync<ExperimentRunState>(ExperimentRunState.Name, id, cancellationToken);
                if (state?.Run is null) continue;
                index.Add(id, state.Run.Status.CreateTime.ToDateTimeOffset());
                if (state.Run.Status.State.IsFinal()) continue;
            }
            catch (InvalidDataException e)
            {
                // One damaged file must not keep the others from going on.
                LogDamaged(e, id);
                continue;
            }
            _ = await grains.GetGrain<IExperimentRunGrain>(id).ContinueAsync();
            LogContinued(id);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Error, Message = "The experiment run {Id} is left out")]
    private partial void LogDamaged(Exception e, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "Going on with the experiment run {Id}")]
    private partial void LogContinued(string id);
}
