using System.Text.Json.Nodes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Gateway.Reports;
using Lab.Protos.Experiment.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Engine;

/// <summary>What comes after the last step: the flat metrics and the report.</summary>
internal sealed class ReportStep(IReportBuilder builder, ArtifactStore store)
{
    /// <summary>Sets the run's metrics and report.</summary>
    /// <exception cref="FailedPreconditionException">A metric is not a number.</exception>
    public async Task RunAsync(ExperimentRun run, ExperimentPlan plan, Func<string, JsonObject?> outputs, CancellationToken cancellationToken)
    {
        run.Status.Metrics.Clear();
        foreach ((string name, JsonNode? expression) in plan.Definition.Report.Metrics)
        {
            JsonNode? resolved = plan.ResolveMetric(expression, outputs);
            run.Status.Metrics[name] = MetricExpression.Evaluate(resolved)
                ?? throw new FailedPreconditionException("METRIC_NOT_A_NUMBER", $"report.metrics.{name} is not a number: {CanonicalJson.Write(resolved)}");
        }

        if (plan.Definition.Report.Sweep is { } sweep) AddSweep(run, plan, sweep, outputs);
        StoredArtifact report = await builder.BuildAsync(run.Clone(), plan.Definition, cancellationToken);
        await store.SetNameAsync($"reports/{RunNames.IdOf(run.Name)}", report.Digest, cancellationToken);
        run.Report = report.Digest;
    }

    private static void AddSweep(ExperimentRun run, ExperimentPlan plan, SweepDefinition sweep, Func<string, JsonObject?> outputs)
    {
        foreach ((string column, JsonNode? expression) in sweep.Columns)
        {
            if (plan.RefersToLeftOut(expression)) continue;
            foreach (PlannedStep row in plan.StepsOf(sweep.Step))
            {
                JsonNode? resolved = plan.ResolveColumn(row, expression, outputs);
                if (MetricExpression.IsEmpty(resolved)) continue;
                run.Status.Metrics[SweepTable.MetricOf(row.Key!, column)] = MetricExpression.Evaluate(resolved)
                    ?? throw new FailedPreconditionException("METRIC_NOT_A_NUMBER", $"report.sweep.columns.{column} is not a number for {row.Id}: {CanonicalJson.Write(resolved)}");
            }
        }
    }
}
