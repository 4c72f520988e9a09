using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Residents;

/// <summary>
/// The models by name: those that are resident, being loaded, could not be loaded at the start, or had to make room. What is
/// resident is kept on disk, so that a restart makes it resident again.
/// </summary>
internal sealed partial class ModelRegistry(
    ArtifactStore store, ModelFolders folders, ModelLoader loader, ModelMemory memory, ResidentList list, ILogger<ModelRegistry> logger) : IHostedService, IAsyncDisposable
{
    private const string ResourceType = "Model";

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ResidentModel> _residents = new(StringComparer.Ordinal);

    /// <summary>Loads under way, at most one a name, and failed ones of the start: who asks for such a model gets the reason.</summary>
    private readonly Dictionary<string, Loading> _loading = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Evicted> _evicted = new(StringComparer.Ordinal);
    private readonly StatusFeed _feed = new();
    private readonly CancellationTokenSource _stopping = new();
    private bool _isDisposed;

    /// <summary>Begins to load, in the background, what was resident when the service ended.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (ResidentList.Entry entry in list.Read()) _ = RestoreAsync(entry);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => _stopping.CancelAsync();

    /// <summary>Makes a model resident, or finds that it is. A name that points at other weights by now gets those.</summary>
    public async Task<ResidentModel> LoadAsync(LoadOrder order, CancellationToken ct)
    {
        while (true)
        {
            ModelSource source = await FindSourceAsync(order, ct);
            Loading? loading;
            lock (_gate)
            {
                if (_residents.TryGetValue(order.Name, out ResidentModel? resident) && IsSame(resident, source)) return Pinned(resident, order.IsPinned);
                if (!_loading.TryGetValue(order.Name, out loading) || loading.Task.IsCompleted)
                    loading = Begin(source, order.IsPinned ?? resident?.IsPinned ?? false, isRestore: false);
            }

            if (loading.Source == source)
            {
                ResidentModel model = await loading.Task.WaitAsync(ct);
                lock (_gate) return Pinned(model, order.IsPinned);
            }

            await SettleAsync(order.Name, ct);
        }
    }

    /// <summary>Gets a model to work with. Waits for one that is just being loaded.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="field">The field that names it, for errors.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <exception cref="FailedPreconditionException">It is stored or was evicted, but is not resident.</exception>
    /// <exception cref="NotFoundException">There is no such model.</exception>
    public async Task<ModelLease> LeaseAsync(string name, string field, CancellationToken ct)
    {
        while (true)
        {
            if (await FindResidentAsync(name, ct) is not { } model) throw await WhyNotAsync(name, field, ct);
            if (model.TryLease(out ModelLease? lease)) return lease;
        }
    }

    /// <summary>Gets a resident model.</summary>
    /// <exception cref="NotFoundException">It is not resident.</exception>
    public async Task<ResidentModel> GetAsync(string name, CancellationToken ct) =>
        await FindResidentAsync(name, ct) ?? throw new NotFoundException(ResourceType, name);

    /// <summary>All resident models by name, once those that are being loaded are there.</summary>
    public async Task<IReadOnlyList<ModelStatus>> ListAsync(CancellationToken ct)
    {
        string[] loading;
        lock (_gate) loading = [.. _loading.Keys];
        foreach (string name in loading) await SettleAsync(name, ct);
        return [.. Known().Where(status => status.State == Residency.Resident)];
    }

    /// <summary>All models by name, whatever has become of them. One that is loaded anew appears as what it was so far.</summary>
    public IReadOnlyList<ModelStatus> Known()
    {
        lock (_gate)
        {
            return [.. _residents.Values.Select(StatusOf)
                .Concat(_loading.Values.Where(loading => !_residents.ContainsKey(loading.Source.Name)).Select(StatusOf))
                .Concat(_evicted.Values.Where(evicted => !_loading.ContainsKey(evicted.Source.Name)).Select(StatusOf))
                .OrderBy(status => status.Source.Name, StringComparer.Ordinal)];
        }
    }

    /// <summary>Gives every model as it is, then again each time something becomes of it.</summary>
    public IAsyncEnumerable<ModelStatus> WatchAsync(CancellationToken ct)
    {
        lock (_gate) return _feed.Watch(Known(), ct);
    }

    /// <summary>Says whether a resident model stays when memory is needed.</summary>
    /// <exception cref="NotFoundException">It is not resident.</exception>
    public async Task<ResidentModel> PinAsync(string name, bool isPinned, CancellationToken ct)
    {
        ResidentModel model = await GetAsync(name, ct);
        lock (_gate) return Pinned(model, isPinned);
    }

    /// <summary>Frees a resident model once the requests that use it have ended, or forgets one that is not resident.</summary>
    /// <exception cref="NotFoundException">There is no such model.</exception>
    public async Task UnloadAsync(string name, CancellationToken ct)
    {
        await SettleAsync(name, ct);
        ResidentModel? model;
        lock (_gate)
        {
            Loading? failed = _loading.GetValueOrDefault(name) is { Task.IsCompleted: true } loading ? loading : null;
            ModelSource source = _residents.GetValueOrDefault(name)?.Source ?? failed?.Source ?? _evicted.GetValueOrDefault(name)?.Source
                ?? throw new NotFoundException(ResourceType, name);
            list.Write(Entries().Where(entry => entry.Name != name));
            if (failed is not null) _loading.Remove(name);
            _evicted.Remove(name);
            _ = _residents.Remove(name, out model);
            _feed.Publish(new ModelStatus(source, Residency.Unloaded));
        }

        LogUnloaded(name);
        if (model is not null) await model.RetireAsync().WaitAsync(ct);
    }

    public async ValueTask DisposeAsync()
    {
        // The container holds it twice, as itself and as a hosted service.
        if (Interlocked.Exchange(ref _isDisposed, true)) return;
        await _stopping.CancelAsync();
        _ = await ListAsync(CancellationToken.None);
        ResidentModel[] residents;
        lock (_gate)
        {
            residents = [.. _residents.Values];
            _residents.Clear();
        }

        await Task.WhenAll(residents.Select(model => model.RetireAsync()));
        _stopping.Dispose();
    }

    private static bool IsSame(ResidentModel resident, ModelSource wanted) =>
        (resident.Source.Version, resident.Source.Folder) == (wanted.Version, wanted.Folder) && (wanted.Type is null || wanted.Type == resident.Facts.Type);

    private async Task<ResidentModel?> FindResidentAsync(string name, CancellationToken ct)
    {
        Loading? loading;
        lock (_gate)
        {
            if (_residents.TryGetValue(name, out ResidentModel? resident)) return resident;
            if (!_loading.TryGetValue(name, out loading)) return null;
        }

        return await loading.Task.WaitAsync(ct);
    }

    private async Task<Exception> WhyNotAsync(string name, string field, CancellationToken ct)
    {
        string? reason;
        lock (_gate) reason = _evicted.GetValueOrDefault(name)?.Reason;
        if (reason is not null) return NotLoaded(name, $"The model '{name}' is not resident: {reason} Load it again.");
        return await FindStoredAsync(name, field, ct) is null
            ? new NotFoundException(ResourceType, name)
            : NotLoaded(name, $"The model '{name}' is stored but not resident: load it first.");
    }

    private static FailedPreconditionException NotLoaded(string name, string message) =>
        new("MODEL_NOT_LOADED", message) { Metadata = new Dictionary<string, string> { ["model"] = name } };

    /// <summary>Waits until no load of the name is under way, however it ends.</summary>
    private async Task SettleAsync(string name, CancellationToken ct)
    {
        Loading? loading;
        lock (_gate)
        {
            if (!_loading.TryGetValue(name, out loading)) return;
        }

        await ((Task)loading.Task).WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ct.ThrowIfCancellationRequested();
    }

    /// <summary>Called under the gate.</summary>
    private ResidentModel Pinned(ResidentModel model, bool? isPinned)
    {
        if (isPinned is not { } wanted || wanted == model.IsPinned) return model;
        if (_residents.ContainsValue(model)) list.Write(Entries().Select(entry => entry.Name == model.Name ? entry with { IsPinned = wanted } : entry));
        model.IsPinned = wanted;
        _feed.Publish(StatusOf(model));
        return model;
    }

    /// <summary>Called under the gate.</summary>
    private ModelSource? KnownSource(string name) =>
        _residents.GetValueOrDefault(name)?.Source ?? _loading.GetValueOrDefault(name)?.Source ?? _evicted.GetValueOrDefault(name)?.Source;

    [LoggerMessage(Level = LogLevel.Information, Message = "Unloaded {Name}")]
    private partial void LogUnloaded(string name);

    /// <summary>A model that had to make room.</summary>
    private sealed record Evicted(ModelSource Source, string Reason);
}
