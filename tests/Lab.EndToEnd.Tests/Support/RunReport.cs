using System.Text.Json.Nodes;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>What `lab run` leaves behind.</summary>
/// <param name="Path">The path of report.json.</param>
internal sealed record RunReport(string Path)
{
    public JsonObject Json { get; } = JsonNode.Parse(File.ReadAllText(Path))!.AsObject();

    public JsonObject Metrics => Json["metrics"]!.AsObject();

    /// <summary>What each step made: "prune[sparse] circuit sha256:...".</summary>
    public string[] Artifacts =>
        [.. Json["artifacts"]!.AsArray().Select(artifact => $"{artifact!["step"]} {artifact["kind"]} {artifact["digest"]}").Order(StringComparer.Ordinal)];

    /// <summary>The digest of what a step made.</summary>
    public string DigestOf(string step) => Artifacts.Single(artifact => artifact.StartsWith($"{step} ", StringComparison.Ordinal)).Split(' ')[^1];

    /// <summary>One output of a step.</summary>
    public JsonNode? OutputOf(string step, string output) => Json["steps"]!.AsArray().Single(s => s!["id"]!.GetValue<string>() == step)!["outputs"]![output];

    /// <summary>The steps that were not computed in this run.</summary>
    public string[] CachedSteps => [.. Json["steps"]!.AsArray().Where(step => step!["cached"]!.GetValue<bool>()).Select(step => step!["id"]!.GetValue<string>())];
}
