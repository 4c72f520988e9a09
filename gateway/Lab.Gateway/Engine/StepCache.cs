using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lab.Artifacts;
using Lab.Gateway.Storage;
using Lab.ServiceDefaults;

namespace Lab.Gateway.Engine;

/// <summary>The results of steps by the digest of their inputs, {folder}/{digest}.json.</summary>
internal sealed partial class StepCache(GatewayFolder folder, AtomicFile file, ArtifactStore store, ILogger<StepCache> logger)
{
    /// <summary>Null if there is no result, or one whose artifacts the store no longer has.</summary>
    public async Task<CachedStep?> FindAsync(string digest, CancellationToken cancellationToken)
    {
        string path = PathOf(digest);
        if (!File.Exists(path)) return null;
        try
        {
            CachedStep? found = JsonSerializer.Deserialize<CachedStep>(await File.ReadAllBytesAsync(path, cancellationToken));
            return found is not null && await HasArtifactsAsync(found.Outputs, cancellationToken) ? found : null;
        }
        catch (JsonException e)
        {
            // The result is computed anew, and the file replaced.
            LogDamaged(e, path);
            return null;
        }
    }

    public void Put(string digest, CachedStep step)
    {
        _ = Directory.CreateDirectory(folder.Steps);
        file.Write(PathOf(digest), JsonSerializer.SerializeToUtf8Bytes(step));
    }

    /// <summary>Whether the store has every artifact whose digest is among the outputs.</summary>
    public async Task<bool> HasArtifactsAsync(JsonNode? outputs, CancellationToken cancellationToken)
    {
        foreach (string digest in Digests(outputs))
            if (await store.FindAsync(digest, cancellationToken) is null) return false;
        return true;
    }

    private static IEnumerable<string> Digests(JsonNode? value) => value switch
    {
        JsonObject members => members.SelectMany(m => Digests(m.Value)),
        JsonArray items => items.SelectMany(Digests),
        JsonValue text when text.GetValueKind() == JsonValueKind.String && Digest().IsMatch(text.GetValue<string>()) => [text.GetValue<string>()],
        _ => [],
    };

    private string PathOf(string digest) => Path.Combine(folder.Steps, digest + ".json");

    [GeneratedRegex("^sha256:[0-9a-f]{64}$")]
    private static partial Regex Digest();

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} is damaged; the step is computed anew")]
    private partial void LogDamaged(Exception e, string path);
}

/// <summary>A step's result as it is kept.</summary>
/// <param name="Operation">The operation.</param>
/// <param name="Inputs">Its inputs, for people who look.</param>
/// <param name="Outputs">What it gave.</param>
/// <param name="Run">The run resource that did the work.</param>
internal sealed record CachedStep(string Operation, JsonObject Inputs, JsonObject Outputs, string Run);
