using Google.Protobuf;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>There is no such resource: NOT_FOUND with ResourceInfo.</summary>
public sealed class NotFoundException : StatusException
{
    private readonly string _resourceType;
    private readonly string _name;

    /// <param name="resourceType">What was looked for: "TrainingRun".</param>
    /// <param name="name">The name that was asked for: "trainingRuns/a".</param>
    public NotFoundException(string resourceType, string name)
        : base(Code.NotFound, "RESOURCE_NOT_FOUND", $"There is no {resourceType} '{name}'.")
    {
        (_resourceType, _name) = (resourceType, name);
        Metadata = new Dictionary<string, string> { ["resource_type"] = resourceType, ["resource_name"] = name };
    }

    internal override IEnumerable<IMessage> Details => [new ResourceInfo { ResourceType = _resourceType, ResourceName = _name }];
}
