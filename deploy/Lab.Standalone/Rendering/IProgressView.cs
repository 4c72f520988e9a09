using Lab.Protos.Experiment.V1;

namespace Lab.Standalone.Rendering;

/// <summary>Shows a run while it goes on.</summary>
internal interface IProgressView
{
    /// <summary>Shows the snapshots until they end, and returns the last.</summary>
    Task<ExperimentRun> ShowAsync(IAsyncEnumerable<ExperimentRun> snapshots, CancellationToken cancellationToken);
}
