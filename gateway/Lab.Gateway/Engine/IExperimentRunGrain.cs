using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Engine;

/// <summary>One run of an experiment; its key is the run's ID. Methods but Create give null if the run was never created.</summary>
[Alias("lab.experiment_run")]
internal interface IExperimentRunGrain : IGrainWithStringKey
{
    /// <summary>Creates and starts the run, or gives the one that exists, whatever its inputs.</summary>
    /// <param name="request">Experiment, YAML and parameters; checked already.</param>
    /// <param name="ignoresCache">Whether every step is computed anew.</param>
    [Alias("create")]
    Task<ExperimentRun> CreateAsync(ExperimentRun request, bool ignoresCache);

    [Alias("find")]
    Task<ExperimentRun?> FindAsync();

    /// <summary>Goes on with a run that has not ended, after a restart.</summary>
    [Alias("continue")]
    Task<ExperimentRun?> ContinueAsync();

    [Alias("cancel")]
    Task<ExperimentRun?> CancelAsync();

    [Alias("resume")]
    Task<ExperimentRun?> ResumeAsync();

    /// <summary>The run as it stands and after each change, until it ends. Changes in quick succession come as one.</summary>
    [Alias("watch")]
    IAsyncEnumerable<ExperimentRun> WatchAsync(CancellationToken cancellationToken);
}
