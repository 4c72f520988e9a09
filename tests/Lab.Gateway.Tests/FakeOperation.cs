using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;

namespace Lab.Gateway.Tests;

/// <summary>An operation whose work a test writes.</summary>
internal sealed class FakeOperation(string name) : IOperation
{
    private readonly ConcurrentQueue<OperationContext> _calls = [];
    private readonly ConcurrentQueue<OperationContext> _cancelled = [];

    public string Name => name;

    public bool IsCacheable { get; init; } = true;

    public IReadOnlyCollection<string> OutputNames { get; init; } = ["value", "artifact", "metrics", "items"];

    public IReadOnlyCollection<string> ArtifactInputs { get; init; } = [];

    public string? NamedOutput { get; init; }

    /// <summary>What ExecuteAsync does; gives the inputs back by default.</summary>
    public Func<OperationContext, CancellationToken, Task<JsonObject>> Work { get; set; } =
        (context, _) => Task.FromResult(context.With.DeepClone().AsObject());

    public IReadOnlyList<OperationContext> Calls => [.. _calls];

    public IReadOnlyList<OperationContext> Cancelled => [.. _cancelled];

    public bool IsTimeless(JsonObject with) => !with.ContainsKey("changing");

    public IEnumerable<ArtifactInput> FindArtifacts(JsonObject with, string path) =>
        ArtifactInputs.Where(with.ContainsKey).Select(key => new ArtifactInput(with, key, $"{path}.{key}"));

    public void Validate(JsonObject with, string path, Violations violations)
    {
        if (with.ContainsKey("wrong")) violations.Add($"{path}.wrong", "is wrong");
    }

    public async Task<Struct> ExecuteAsync(OperationContext context, CancellationToken cancellationToken)
    {
        _calls.Enqueue(context);
        return ProtoJson.ToStruct(await Work(context, cancellationToken));
    }

    public Task CancelAsync(OperationContext context, CancellationToken cancellationToken)
    {
        _cancelled.Enqueue(context);
        return Task.CompletedTask;
    }
}
