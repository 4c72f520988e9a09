using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Protos.ModelHost.V1;

namespace Lab.Gateway.Operations;

/// <summary>Makes a stored model resident in the model host. Its outputs are the fields of the model.</summary>
internal sealed class LoadModelOperation(ModelHostService.ModelHostServiceClient client) : IOperation
{
    public string Name => "model_host.load";

    // What is resident is no artifact: it must be made sure of each time, which is cheap if it is.
    public bool IsCacheable => false;

    public IReadOnlyCollection<string> OutputNames { get; } = [.. Model.Descriptor.Fields.InDeclarationOrder().Select(f => f.Name)];

    public string? NamedOutput => null;

    // The name stays as it is: the model is resident under it.
    public IEnumerable<ArtifactInput> FindArtifacts(JsonObject with, string path) => [];

    public void Validate(JsonObject with, string path, Violations violations) =>
        ConfigMessage.Check(LoadModelRequest.Descriptor, with, path, violations);

    public async Task<Struct> ExecuteAsync(OperationContext context, CancellationToken cancellationToken)
    {
        LoadModelRequest request = ConfigMessage.Parse<LoadModelRequest>(context.With);
        Model model = await client.LoadModelAsync(request, cancellationToken: cancellationToken);
        return ProtoJson.ToStruct(ProtoJson.ToJson(model));
    }

    public Task CancelAsync(OperationContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
