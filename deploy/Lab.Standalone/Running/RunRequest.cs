using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;

namespace Lab.Standalone.Running;

/// <summary>What `lab run` is asked to run.</summary>
/// <param name="Experiment">The experiment's name.</param>
/// <param name="Yaml">Its definition.</param>
/// <param name="IsFile">Whether the definition comes from a file, not from the lab.</param>
/// <param name="Set">The parameters that were given.</param>
/// <param name="Parameters">All parameters.</param>
internal sealed record RunRequest(string Experiment, string Yaml, bool IsFile, Struct Set, Struct Parameters)
{
    /// <param name="client">The gateway.</param>
    /// <param name="experiment">A name, or the path of a YAML file.</param>
    /// <param name="assignments">Those of --set.</param>
    /// <param name="cancellationToken">Cancels the calls.</param>
    /// <exception cref="CommandException">There is no such experiment, or something in it or in the parameters is wrong.</exception>
    public static async Task<RunRequest> ReadAsync(
        ExperimentService.ExperimentServiceClient client, string experiment, IReadOnlyList<string> assignments, CancellationToken cancellationToken)
    {
        bool isFile = IsFilePath(experiment);
        (string name, string yaml, IReadOnlyList<Parameter> known) = isFile
            ? await ReadFileAsync(experiment, cancellationToken)
            : await ReadNamedAsync(client, experiment, cancellationToken);
        Struct set = ParameterValues.Parse(name, assignments, known);
        return new RunRequest(name, yaml, isFile, set, ParameterValues.WithDefaults(set, known));
    }

    /// <summary>Whether a run does what is asked for here.</summary>
    public bool IsSame(ExperimentRun run) => run.Experiment == Experiment && run.Yaml == Yaml && Equals(run.Parameters ?? new Struct(), Parameters);

    private static bool IsFilePath(string experiment) =>
        experiment.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || experiment.EndsWith(".yml", StringComparison.OrdinalIgnoreCase)
        || experiment.Contains(Path.DirectorySeparatorChar);

    private static async Task<(string Name, string Yaml, IReadOnlyList<Parameter> Known)> ReadFileAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) throw CommandException.Usage($"There is no file '{path}'.");
        string yaml = await File.ReadAllTextAsync(path, cancellationToken);
        var violations = new Violations();
        ExperimentDefinition? definition = DefinitionReader.Read(yaml, violations);
        if (definition is null || !violations.IsEmpty)
            throw CommandException.Usage($"{path} is not an experiment:\n" + string.Join('\n', violations.Select(violation => $"  {violation.Field}: {violation.Description}")));
        return (definition.Name, yaml, [.. definition.Parameters.Select(ToParameter)]);
    }

    private static Parameter ToParameter(ParameterDefinition parameter)
    {
        var message = new Parameter { Name = parameter.Name, Type = parameter.Type, Description = parameter.Description };
        if (parameter.Default is not null) message.DefaultValue = Value.Parser.ParseJson(parameter.Default.ToJsonString());
        return message;
    }

    private static async Task<(string Name, string Yaml, IReadOnlyList<Parameter> Known)> ReadNamedAsync(
        ExperimentService.ExperimentServiceClient client, string name, CancellationToken cancellationToken)
    {
        try
        {
            Experiment experiment = await client.GetExperimentAsync(new GetExperimentRequest { Name = name }, cancellationToken: cancellationToken);
            return (experiment.Name, experiment.Yaml, experiment.Parameters);
        }
        catch (RpcException fault) when (fault.StatusCode == StatusCode.NotFound)
        {
            ListExperimentsResponse all = await client.ListExperimentsAsync(new ListExperimentsRequest { PageSize = 1000 }, cancellationToken: cancellationToken);
            throw CommandException.Usage(
                $"There is no experiment '{name}'. There are: {string.Join(", ", all.Experiments.Select(experiment => experiment.Name))}; or give the path of a YAML file.");
        }
    }
}
