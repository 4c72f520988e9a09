using Lab.CircuitAnalysis.Pruning;
using Lab.CircuitAnalysis.Reports;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>The files of a circuit in the artifact store.</summary>
internal static class CircuitArtifact
{
    public const string Kind = "circuit";

    public static async Task WriteAsync(string folder, CircuitHeader header, Circuit circuit, CancellationToken ct)
    {
        using MemoryStream json = new();
        CircuitJson.Write(json, header, circuit);
        await File.WriteAllBytesAsync(Path.Combine(folder, "circuit.json"), json.ToArray(), ct);
        using StringWriter dot = new();
        CircuitDot.Write(dot, header, circuit);
        await File.WriteAllTextAsync(Path.Combine(folder, "circuit.dot"), dot.ToString(), ct);
    }
}
