using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Lab.Artifacts;

/// <summary>What made an artifact.</summary>
/// <param name="Maker">What made it, such as "SparseTraining/trainingRuns/quotes-sparse".</param>
/// <param name="Inputs">The artifacts it was made from: role ("corpus", "model") to digest.</param>
/// <param name="Config">What was asked for.</param>
/// <param name="Seed">The seed, where there was one.</param>
public sealed record ArtifactProvenance(
    string Maker,
    IReadOnlyDictionary<string, string> Inputs,
    JsonObject Config,
    long? Seed)
{
    /// <summary>The version of the program that made it. The store fills it in when it is empty.</summary>
    public string CodeVersion { get; init; } = "";

    /// <summary>Name, operating system and processors of the machine. The store fills it in when it is empty.</summary>
    public string Machine { get; init; } = "";

    internal ArtifactProvenance Completed() => this with
    {
        CodeVersion = CodeVersion.Length > 0 ? CodeVersion : ThisCodeVersion,
        Machine = Machine.Length > 0 ? Machine : ThisMachine,
    };

    private static readonly string ThisCodeVersion =
        typeof(ArtifactProvenance).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    private static readonly string ThisMachine =
        $"{Environment.MachineName}, {RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} processors";
}
