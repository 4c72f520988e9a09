using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.Experiment.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.Gateway.Experiments;

/// <summary>The experiments that ship with the lab.</summary>
internal sealed class ExperimentCatalog
{
    private readonly SortedDictionary<string, Experiment> _experiments = new(StringComparer.Ordinal);

    /// <exception cref="InvalidDataException">A file is no experiment; the message names it and what is wrong.</exception>
    public ExperimentCatalog(IOptions<GatewayOptions> options)
    {
        string folder = options.Value.Experiments;
        foreach (string path in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.yaml") : [])
        {
            Experiment experiment = Read(path);
            if (!_experiments.TryAdd(experiment.Name, experiment))
                throw new InvalidDataException($"{path}: another file in the folder defines \"{experiment.Name}\" too.");
        }
    }

    /// <summary>By name.</summary>
    public IReadOnlyList<Experiment> List() => [.. _experiments.Values.Select(e => e.Clone())];

    /// <exception cref="NotFoundException">There is none of this name.</exception>
    public Experiment Get(string name) =>
        _experiments.TryGetValue(name, out Experiment? found) ? found.Clone() : throw new NotFoundException("Experiment", name);

    private static Experiment Read(string path)
    {
        string yaml = File.ReadAllText(path);
        Violations violations = new();
        ExperimentDefinition? definition = DefinitionReader.Read(yaml, violations);
        if (definition is null || !violations.IsEmpty)
            throw new InvalidDataException($"{path}: {string.Join(" ", violations.Select(v => $"{v.Field}: {v.Description}."))}");
        return new Experiment
        {
            Name = definition.Name,
            Description = definition.Description,
            Yaml = yaml,
            Parameters =
            {
                definition.Parameters.Select(p => new Parameter
                {
                    Name = p.Name,
                    Type = p.Type,
                    Description = p.Description,
                    DefaultValue = p.Default is null ? Value.ForNull() : ProtoJson.ToValue(p.Normalise(p.Default)!),
                }),
            },
        };
    }
}
