using System.CommandLine;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Standalone.Rendering;
using Lab.Standalone.Running;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>`lab runs`: what was run.</summary>
internal static class RunsCommand
{
    private const string Collection = "experimentRuns/";

    public static Command Create(LabConsole console)
    {
        var run = new Argument<string?>("run") { Description = "A run, to show with its steps.", Arity = ArgumentArity.ZeroOrOne };
        return new Command("runs", "Lists the runs of experiments, newest first, or shows one.") { run }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            if (parsed.GetValue(run) is string wanted)
                Show(console, await lab.Experiments.GetExperimentRunAsync(new GetExperimentRunRequest { Name = NameOf(wanted) }, cancellationToken: cancellationToken));
            else
                List(console, await ListAsync(lab.Experiments, cancellationToken));
            return ExitCode.Ok;
        });
    }

    /// <summary>A run's resource name, given that or its ID.</summary>
    public static string NameOf(string run) => run.StartsWith(Collection, StringComparison.Ordinal) ? run : Collection + run;

    private static Task<List<ExperimentRun>> ListAsync(ExperimentService.ExperimentServiceClient client, CancellationToken cancellationToken) => Listing.AllAsync(async token =>
    {
        ListExperimentRunsResponse page = await client.ListExperimentRunsAsync(
            new ListExperimentRunsRequest { PageSize = Listing.PageSize, PageToken = token }, cancellationToken: cancellationToken);
        return (page.ExperimentRuns.AsEnumerable(), page.NextPageToken);
    });

    private static void List(LabConsole console, List<ExperimentRun> runs)
    {
        Table table = Listing.Table("run", "experiment", "state", "created", "time");
        foreach (ExperimentRun run in runs)
            table.Add(run.Name[Collection.Length..], run.Experiment, State(run.Status.State), Listing.Time(run.Status.CreateTime), Elapsed(run.Status));
        console.Screen.Write(table);
    }

    private static void Show(LabConsole console, ExperimentRun run)
    {
        console.Output.WriteLine($"{run.Name}  {run.Experiment}  {State(run.Status.State)}");
        foreach ((string name, Value value) in (run.Parameters ?? new Struct()).Fields) console.Output.WriteLine($"  {name} = {ParameterValues.Text(value)}");
        if (run.Status.Error is not null) console.Output.WriteLine($"  error: {RpcFaults.Describe(run.Status.Error)}");
        Table table = Listing.Table("step", "operation", "state", "time", "service run");
        foreach (StepRun step in run.Steps)
        {
            RunStatus status = step.Status ?? new RunStatus { State = RunState.Queued };
            table.Add(step.Id, step.Operation, State(status.State) + (step.Cached ? " (cached)" : ""), Elapsed(status), step.Run);
        }

        console.Screen.Write(table);
        if (run.Report.Length > 0) console.Output.WriteLine($"report {run.Report}");
    }

    private static string State(RunState state) => state.ToString().ToLowerInvariant();

    private static string Elapsed(RunStatus status) =>
        status is { StartTime: Timestamp start, EndTime: Timestamp end } ? Durations.Clock(end.ToDateTimeOffset() - start.ToDateTimeOffset()) : "";
}
