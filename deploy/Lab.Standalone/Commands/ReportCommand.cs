using System.CommandLine;
using System.Text.Json.Nodes;
using Lab.Protos.Experiment.V1;
using Lab.Standalone.Rendering;
using Lab.Standalone.Running;

namespace Lab.Standalone.Commands;

/// <summary>`lab report`: a run's report, fetched into the data folder.</summary>
internal static class ReportCommand
{
    public static Command Create(LabConsole console)
    {
        var run = new Argument<string>("run") { Description = "The run's ID." };
        return new Command("report", "Fetches a run's report, prints its numbers, and the path of its report.json last.") { run }.Reads(console, async (parsed, lab, dataFolder, cancellationToken) =>
        {
            ExperimentRun found = await lab.Experiments.GetExperimentRunAsync(
                new GetExperimentRunRequest { Name = RunsCommand.NameOf(parsed.GetValue(run)!) }, cancellationToken: cancellationToken);
            if (found.Report.Length == 0)
                throw CommandException.Failed($"{found.Name} has no report yet: it is {found.Status.State.ToString().ToLowerInvariant()}.");
            string path = await new ReportFolder(lab.Artifacts, dataFolder).DownloadAsync(found.Name, found.Report, cancellationToken);
            SummaryTable.Write(console.Screen, JsonNode.Parse(await File.ReadAllTextAsync(path, cancellationToken))!);
            await console.Output.WriteLineAsync(path);
            return ExitCode.Ok;
        });
    }
}
