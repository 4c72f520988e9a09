using System.Text.Json;
using Lab.BridgeAlignment.Bridges;
using Lab.BridgeAlignment.Evaluation;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Runs;

/// <summary>The files of a bridge: its maps, and what it is. Equal bridges give equal bytes.</summary>
internal static class BridgeArtifact
{
    /// <summary>The kind of a bridge in the artifact store.</summary>
    public const string Kind = "bridge";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NewLine = "\n",
    };

    /// <summary>Writes bridge.safetensors and bridge.json.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="parameters">The bridge's parameters.</param>
    /// <param name="description">What bridge.json says.</param>
    /// <param name="ct">Cancels the write.</param>
    public static async Task WriteAsync(string folder, IEnumerable<HostTensor> parameters, BridgeDescription description, CancellationToken ct)
    {
        SafetensorsWriter.Write(Path.Combine(folder, "bridge.safetensors"), parameters);
        await File.WriteAllTextAsync(Path.Combine(folder, "bridge.json"), JsonSerializer.Serialize(description, Json) + "\n", ct);
    }
}

/// <summary>What bridge.json says.</summary>
/// <param name="Inputs">What it was made from: role to digest.</param>
/// <param name="Shape">Sites and sizes.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="BatchSize">Sequences per step.</param>
/// <param name="SequenceLength">Tokens per sequence.</param>
/// <param name="LearningRate">Peak learning rate.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Evaluation">How good it is on held-out tokens.</param>
internal sealed record BridgeDescription(
    IReadOnlyDictionary<string, string> Inputs, BridgeShape Shape, long Steps, int BatchSize, int SequenceLength, double LearningRate, long Seed, BridgeScore Evaluation)
{
    /// <summary>The layout's version.</summary>
    public int Format { get; } = 1;
}
