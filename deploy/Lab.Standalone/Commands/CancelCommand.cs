using System.CommandLine;
using Lab.Protos.Experiment.V1;
using Lab.Standalone.Running;

namespace Lab.Standalone.Commands;

/// <summary>`lab cancel`: ends a run that another command began, or that an earlier one left unfinished.</summary>
internal static class CancelCommand
{
    public static Command Create(LabConsole console)
    {
        var run = new Argument<string>("run") { Description = "The run's ID." };
        return new Command("cancel", "Cancels a run. `lab run` with the same parameters goes on where it stopped.") { run }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            ExperimentRun ended = await new RunSession(lab.Experiments, TimeProvider.System)
                .CancelAsync(RunsCommand.NameOf(parsed.GetValue(run)!), cancellationToken);
            await console.Output.WriteLineAsync($"{ended.Name} is {ended.Status.State.ToString().ToLowerInvariant()}.");
            return ExitCode.Ok;
        });
    }
}
