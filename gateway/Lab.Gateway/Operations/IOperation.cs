using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Operations;

/// <summary>A kind of step: what "operation: training.train" names.</summary>
internal interface IOperation
{
    /// <summary>"training.train".</summary>
    string Name { get; }

    /// <summary>Whether equal inputs give results that may be taken from an earlier run.</summary>
    bool IsCacheable { get; }

    /// <summary>The names of the outputs, for checking references.</summary>
    IReadOnlyCollection<string> OutputNames { get; }

    /// <summary>Whether inputs mean the same at any time, which the newest checkpoint of a run does not. If not, results are not kept.</summary>
    /// <param name="with">The inputs, all references resolved.</param>
    bool IsTimeless(JsonObject with) => true;

    /// <summary>Finds where inputs name an artifact. The names are turned into digests before the step runs.</summary>
    /// <param name="with">The inputs, all references resolved.</param>
    /// <param name="path">Where they stand: "steps[0].with".</param>
    IEnumerable<ArtifactInput> FindArtifacts(JsonObject with, string path);

    /// <summary>The output whose artifact the input "output_name" names, or null if there is no such input.</summary>
    string? NamedOutput { get; }

    /// <summary>Checks inputs before anything runs. Strings with "${" are references whose values are not known yet.</summary>
    /// <param name="with">The inputs.</param>
    /// <param name="path">Where they stand: "steps[0].with".</param>
    /// <param name="violations">Takes what is wrong.</param>
    void Validate(JsonObject with, string path, Violations violations);

    /// <summary>
    /// Does the work and gives its outputs. Called again with the same context after any crash: work that goes on elsewhere under the
    /// context's run ID is joined, not begun anew. When the token fires, returns without ending that work.
    /// </summary>
    Task<Struct> ExecuteAsync(OperationContext context, CancellationToken cancellationToken);

    /// <summary>Ends the work of a step that was cancelled, unless another step still waits for the same work.</summary>
    Task CancelAsync(OperationContext context, CancellationToken cancellationToken);
}
