using System.CommandLine;
using Lab.Protos.Experiment.V1;
using Lab.Standalone.Running;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>`lab experiments`: what can be run.</summary>
internal static class ExperimentsCommand
{
    public static Command Create(LabConsole console)
    {
        var name = new Argument<string?>("name") { Description = "An experiment, to show with its parameters and definition.", Arity = ArgumentArity.ZeroOrOne };
        return new Command("experiments", "Lists the experiments that ship with the lab, or shows one.") { name }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            if (parsed.GetValue(name) is string wanted)
                Show(console, await lab.Experiments.GetExperimentAsync(new GetExperimentRequest { Name = wanted }, cancellationToken: cancellationToken));
            else
                List(console, await ListAsync(lab.Experiments, cancellationToken));
            return ExitCode.Ok;
        });
    }

    private static Task<List<Experiment>> ListAsync(ExperimentService.ExperimentServiceClient client, CancellationToken cancellationToken) => Listing.AllAsync(async token =>
    {
        ListExperimentsResponse page = await client.ListExperimentsAsync(
            new ListExperimentsRequest { PageSize = Listing.PageSize, PageToken = token }, cancellationToken: cancellationToken);
        return (page.Experiments.AsEnumerable(), page.NextPageToken);
    });

    private static void List(LabConsole console, List<Experiment> experiments)
    {
        Table table = Listing.Table("experiment", "what it finds out");
        foreach (Experiment experiment in experiments) table.Add(experiment.Name, experiment.Description);
        console.Screen.Write(table);
    }

    private static void Show(LabConsole console, Experiment experiment)
    {
        console.Output.WriteLine($"{experiment.Name}: {experiment.Description}");
        if (experiment.Parameters.Count > 0)
        {
            Table table = Listing.Table("parameter", "type", "default", "what it does");
            foreach (Parameter parameter in experiment.Parameters)
                table.Add(parameter.Name, parameter.Type, parameter.DefaultValue is null ? "" : ParameterValues.Text(parameter.DefaultValue), parameter.Description);
            console.Screen.Write(table);
        }

        console.Output.WriteLine();
        console.Output.WriteLine(experiment.Yaml);
    }
}
