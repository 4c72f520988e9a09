using Lab.Gateway.Definitions;
using Lab.Gateway.Reports;
using Microsoft.Extensions.Options;

namespace Lab.Gateway.Engine;

/// <summary>Makes the work of runs.</summary>
internal sealed class RunWorkFactory(
    ExperimentPlanner planner, StepExecutor executor, ReportStep report, TimeProvider time, IOptions<GatewayOptions> options, ILogger<RunWork> logger)
{
    public RunWork Create(ExperimentRunState state, IRunJournal journal) =>
        new(state, journal, planner, executor, report, options.Value.MaxParallelSteps, time, logger);
}
