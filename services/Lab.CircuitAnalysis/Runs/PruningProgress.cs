using Lab.CircuitAnalysis.Pruning;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Runs;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>Tells a run's watchers.</summary>
internal sealed class PruningProgress(RunContext<PruningRun> context) : IPruningProgress
{
    public void Report(string phase, long completed, long total, string unit) => context.Report(phase, completed, total, unit);

    public void Metric(string name, double value) => context.Metric(name, value);
}
