using System.CommandLine;
using System.Text.Json.Nodes;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Standalone.Hosting;
using Lab.Standalone.Rendering;
using Lab.Standalone.Running;

namespace Lab.Standalone.Commands;

/// <summary>`lab run`: runs an experiment and shows its progress.</summary>
internal static class RunCommand
{
    private static readonly TimeSpan _cancelTimeout = TimeSpan.FromSeconds(15);

    private sealed record Input(string Experiment, string[] Set, Uri? Gateway, string DataFolder, bool IsFresh, string? RunId);

    public static Command Create(LabConsole console)
    {
        var experiment = new Argument<string>("experiment") { Description = "The name of an experiment, as `lab experiments` lists them, or the path of a YAML file." };
        var set = new Option<string[]>("--set") { HelpName = "name=value", Description = "Sets a parameter. May be given several times." };
        var fresh = new Option<bool>("--fresh") { Description = "Begin anew and compute every step, whatever earlier runs have left." };
        var runId = new Option<string?>("--run-id") { HelpName = "id", Description = "The run's ID: lower-case letters, digits and hyphens. A run of this ID goes on." };
        var command = new Command("run", "Runs an experiment. A run of the same experiment and parameters that did not end goes on.") { experiment, set, fresh, runId };
        (CommonOptions options, _) = CommonOptions.AddTo(command);
        command.SetLabAction(console, (parsed, cancellationToken) => ExecuteAsync(
            new Input(
                parsed.GetValue(experiment)!, parsed.GetValue(set) ?? [], parsed.GetValue(options.Gateway), options.DataFolder(parsed),
                parsed.GetValue(fresh), parsed.GetValue(runId)),
            console, cancellationToken));
        return command;
    }

    private static async Task<int> ExecuteAsync(Input input, LabConsole console, CancellationToken cancellationToken)
    {
        await using LabConnection lab = await LabConnection.OpenAsync(input.Gateway, input.DataFolder, cancellationToken);
        RunRequest request = await RunRequest.ReadAsync(lab.Experiments, input.Experiment, input.Set, cancellationToken);
        var session = new RunSession(lab.Experiments, TimeProvider.System);
        (ExperimentRun run, bool isContinued) = await session.StartAsync(request, input.RunId, input.IsFresh, cancellationToken);
        await console.Output.WriteLineAsync($"{request.Experiment}: {(isContinued ? "going on with" : "run")} {run.Name}");
        foreach (string other in await session.FindOthersAtWorkAsync(run.Name, cancellationToken))
            await console.Output.WriteLineAsync($"{other} is worked on too, and shares the machine; `lab cancel` ends it.");
        try
        {
            run = await View(console).ShowAsync(session.WatchAsync(run.Name, cancellationToken), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return await CancelAsync(session, run.Name, console);
        }

        return run.Status.State switch
        {
            RunState.Succeeded => await FinishAsync(lab, run, input.DataFolder, console, cancellationToken),
            RunState.Cancelled => Cancelled(console, run.Name),
            _ => Failed(console, run, input),
        };
    }

    private static IProgressView View(LabConsole console) =>
        console.IsTerminal ? new LiveProgress(console.Screen, TimeProvider.System) : new PlainProgress(console.Output, TimeProvider.System);

    private static async Task<int> FinishAsync(LabConnection lab, ExperimentRun run, string dataFolder, LabConsole console, CancellationToken cancellationToken)
    {
        string path = await new ReportFolder(lab.Artifacts, dataFolder).DownloadAsync(run.Name, run.Report, cancellationToken);
        SummaryTable.Write(console.Screen, JsonNode.Parse(await File.ReadAllTextAsync(path, cancellationToken))!);
        await console.Output.WriteLineAsync(path);
        return ExitCode.Ok;
    }

    private static async Task<int> CancelAsync(RunSession session, string name, LabConsole console)
    {
        using var timeout = new CancellationTokenSource(_cancelTimeout);
        try
        {
            await session.CancelAsync(name, timeout.Token);
        }
        catch (OperationCanceledException)
        {
            console.Error.WriteLine($"lab: {name} has not stopped within {_cancelTimeout.TotalSeconds:0} s.");
            return ExitCode.Cancelled;
        }

        return Cancelled(console, name);
    }

    private static int Cancelled(LabConsole console, string name)
    {
        console.Error.WriteLine($"lab: {name} is cancelled. The same command goes on where it stopped.");
        return ExitCode.Cancelled;
    }

    private static int Failed(LabConsole console, ExperimentRun run, Input input)
    {
        foreach (StepRun step in run.Steps.Where(step => step.Status?.State == RunState.Failed && step.Status.Error is not null))
            console.Error.WriteLine($"lab: {step.Id} failed: {RpcFaults.Describe(step.Status.Error)}");
        console.Error.WriteLine($"lab: {run.Name} failed{(run.Status.Error is null ? "." : $": {RpcFaults.Describe(run.Status.Error)}")}");
        if (input.Gateway is null) console.Error.WriteLine($"lab: the log is {Path.Combine(input.DataFolder, "logs", "lab.log")}");
        return ExitCode.Failed;
    }
}
