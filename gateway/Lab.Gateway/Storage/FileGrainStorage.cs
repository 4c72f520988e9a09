using System.Globalization;
using System.Text.Json;
using Lab.ServiceDefaults;
using Orleans.Runtime;
using Orleans.Storage;

namespace Lab.Gateway.Storage;

/// <summary>Grain state as JSON files, {folder}/{state name}/{grain key}.json, each replaced as a whole. The ETag is a version number.</summary>
internal sealed class FileGrainStorage(string folder, AtomicFile file) : IGrainStorage
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Converters = { new MessageJsonConverterFactory() } };

    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        StoredState<T>? stored = await ReadAsync<T>(PathOf(stateName, grainId.Key.ToString()!), CancellationToken.None);
        grainState.RecordExists = stored is not null;
        grainState.ETag = stored?.Version.ToString(CultureInfo.InvariantCulture);
        grainState.State = stored is { State: { } state } ? state : Activator.CreateInstance<T>();
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        string path = PathOf(stateName, grainId.Key.ToString()!);
        long version = await CheckVersionAsync(path, grainState) + 1;
        _ = Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        file.Write(path, JsonSerializer.SerializeToUtf8Bytes(new StoredState<T>(version, grainState.State), Json));
        grainState.RecordExists = true;
        grainState.ETag = version.ToString(CultureInfo.InvariantCulture);
    }

    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        string path = PathOf(stateName, grainId.Key.ToString()!);
        _ = await CheckVersionAsync(path, grainState);
        File.Delete(path);
        grainState.RecordExists = false;
        grainState.ETag = null;
        grainState.State = Activator.CreateInstance<T>();
    }

    /// <summary>The keys of all grains that have this state.</summary>
    public IEnumerable<string> Keys(string stateName)
    {
        string states = Path.Combine(folder, stateName);
        return Directory.Exists(states)
            ? Directory.EnumerateFiles(states, "*.json").Select(path => Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(path)))
            : [];
    }

    /// <summary>The state of one grain without activating it; null if there is none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged; the message names it.</exception>
    public async Task<T?> FindAsync<T>(string stateName, string key, CancellationToken cancellationToken) where T : class =>
        (await ReadAsync<T>(PathOf(stateName, key), cancellationToken))?.State;

    private static async Task<long> CheckVersionAsync<T>(string path, IGrainState<T> grainState)
    {
        StoredVersion? stored = await ReadFileAsync<StoredVersion>(path, CancellationToken.None);
        string? version = stored?.Version.ToString(CultureInfo.InvariantCulture);
        return version == grainState.ETag
            ? stored?.Version ?? 0
            : throw new InconsistentStateException($"{path} was written by another activation.", version, grainState.ETag);
    }

    private static Task<StoredState<T>?> ReadAsync<T>(string path, CancellationToken cancellationToken) =>
        ReadFileAsync<StoredState<T>>(path, cancellationToken);

    private static async Task<T?> ReadFileAsync<T>(string path, CancellationToken cancellationToken) where T : class
    {
        try
        {
            await using FileStream stream = File.OpenRead(path);
            return await JsonSerializer.DeserializeAsync<T>(stream, Json, cancellationToken)
                ?? throw new InvalidDataException($"{path} holds no grain state.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not a grain's state: {e.Message}", e);
        }
    }

    private string PathOf(string stateName, string key) => Path.Combine(folder, stateName, Uri.EscapeDataString(key) + ".json");

    private sealed record StoredState<T>(long Version, T? State);

    private sealed record StoredVersion(long Version);
}
