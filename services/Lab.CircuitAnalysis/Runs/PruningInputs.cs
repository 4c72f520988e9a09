using System.Text.Json;
using Lab.Artifacts;
using Lab.Models.Corpora;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>The stored things that a run works on.</summary>
internal sealed record PruningInputs(StoredArtifact Model, StoredArtifact Corpus)
{
    private const string FileName = "inputs.json";

    /// <summary>The digests by role, for the provenance.</summary>
    public Dictionary<string, string> Digests => new() { ["model"] = Model.Digest, ["corpus"] = Corpus.Digest };

    /// <summary>Finds the artifacts of a config.</summary>
    /// <exception cref="InvalidRequestException">One is unknown or of the wrong kind; names the field.</exception>
    public static async Task<PruningInputs> FindAsync(ArtifactStore store, PruningConfig config, CancellationToken ct) => new(
        await FindAsync(store, config.Model, "model", "config.model", ct),
        await FindAsync(store, config.Corpus, TokenCorpus.Kind, "config.corpus", ct));

    /// <summary>
    /// Finds the artifacts of a run: those that its names pointed at when it began, so that a name that moves in the meantime
    /// does not mix two models.
    /// </summary>
    public static async Task<PruningInputs> PinAsync(ArtifactStore store, PruningConfig config, string folder, CancellationToken ct)
    {
        string path = Path.Combine(folder, FileName);
        if (File.Exists(path))
        {
            Dictionary<string, string> digests = JsonSerializer.Deserialize<Dictionary<string, string>>(await File.ReadAllBytesAsync(path, ct))!;
            return new PruningInputs(await store.GetAsync(digests["model"], ct), await store.GetAsync(digests["corpus"], ct));
        }

        PruningInputs inputs = await FindAsync(store, config, ct);
        await File.WriteAllBytesAsync(path + ".tmp", JsonSerializer.SerializeToUtf8Bytes(inputs.Digests), ct);
        File.Move(path + ".tmp", path, overwrite: true);
        return inputs;
    }

    /// <summary>Checks the name under which the circuit will be.</summary>
    /// <exception cref="InvalidRequestException">It is not empty and not a name.</exception>
    public static async Task CheckNameAsync(ArtifactStore store, string name, CancellationToken ct)
    {
        if (name.Length == 0) return;
        if (name.StartsWith("sha256:", StringComparison.Ordinal)) throw new InvalidRequestException("config.output_name", "must be a name, not a digest.");
        try
        {
            _ = await store.FindAsync(name, ct);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException("config.output_name", e.Message);
        }
    }

    private static async Task<StoredArtifact> FindAsync(ArtifactStore store, string name, string kind, string field, CancellationToken ct)
    {
        StoredArtifact? artifact;
        try
        {
            artifact = await store.FindAsync(name, ct);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(field, e.Message);
        }

        if (artifact is null) throw new InvalidRequestException(field, $"There is no artifact '{name}'.");
        return artifact.Kind == kind ? artifact : throw new InvalidRequestException(field, $"'{name}' is a {artifact.Kind}, not a {kind}.");
    }
}
