using System.Text.Json.Nodes;

namespace Lab.Gateway.Operations;

/// <summary>A place among the inputs of a step where an artifact is named.</summary>
/// <param name="Owner">What has the name as a member.</param>
/// <param name="Key">The member.</param>
/// <param name="Path">Where it stands: "steps[0].with.interventions[1].vectors.artifact".</param>
internal readonly record struct ArtifactInput(JsonObject Owner, string Key, string Path);
