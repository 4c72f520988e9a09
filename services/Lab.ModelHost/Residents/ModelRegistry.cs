using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Residents;

/// <summary>The resident models by name. Kept on disk, so that a restart makes them resident again.</summary>
internal sealed partial class ModelRegistry(ArtifactStore store, ModelLoader loader, ResidentList list, ILogger<ModelRegistry> logger) : IHostedService, IAsyncDisposable
{
    private const string ResourceType = "Model";

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ResidentModel> _residents = new(StringComparer.Ordinal);

    /// <summary>Loads under way, at most one a name, and failed ones of the start: who asks for such a model gets the reason.</summary>
    private readonly Dictionary<string, Loading> _loading = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private bool _isDisposed;

    /// <summary>Begins to load, in the background, what was resident when the service ended.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (ResidentList.Entry entry in list.Read()) _ = RestoreAsync(entry);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => _stopping.CancelAsync();

    /// <summary>Makes a stored model resident, or finds that it is. A name that points at other weights by now gets those.</summary>
    public async Task<ResidentModel> LoadAsync(string name, CancellationToken ct)
    {
        StoredArtifact artifact = await FindAsync(name, "name", ct) ?? throw new NotFoundException(ResourceType, name);
        if (artifact.Kind != "model") throw new InvalidRequestException("name", $"'{name}' is a {artifact.Kind}, not a model.");
        while (true)
        {
            Loading loading;
            lock (_gate)
            {
                if (_residents.TryGetValue(name, out ResidentModel? resident) && resident.Digest == artifact.Digest) return resident;
                if (!_loading.TryGetValue(name, out loading) || loading.Task.IsCompleted) loading = Begin(name, artifact.Digest, isRestore: false);
            }

            if (loading.Digest == artifact.Digest) return await loading.Task.WaitAsync(ct);
            await SettleAsync(name, ct);
        }
    }

    /// <summary>Gets a model to work with. Waits for one that is just being loaded.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="field">The field that names it, for errors.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <exception cref="FailedPreconditionException">It is stored but not resident.</exception>
    /// <exception cref="NotFoundException">There is no such model.</exception>
    public async Task<ModelLease> LeaseAsync(string name, string field, CancellationToken ct)
    {
        while (true)
        {
            if (await FindResidentAsync(name, ct) is not { } model)
            {
                throw await FindAsync(name, field, ct) is null
                    ? new NotFoundException(ResourceType, name)
                    : new FailedPreconditionException("MODEL_NOT_LOADED", $"The model '{name}' is stored but not resident: load it first.");
            }

            if (model.TryLease(out ModelLease? lease)) return lease;
        }
    }

    /// <summary>Gets a resident model.</summary>
    /// <exception cref="NotFoundException">It is not resident.</exception>
    public async Task<ResidentModel> GetAsync(string name, CancellationToken ct) =>
        await FindResidentAsync(name, ct) ?? throw new NotFoundException(ResourceType, name);

    /// <summary>All resident models by name, once those that are being loaded are there.</summary>
    public async Task<IReadOnlyList<ResidentModel>> ListAsync(CancellationToken ct)
    {
        string[] loading;
        lock (_gate) loading = [.. _loading.Keys];
        foreach (string name in loading) await SettleAsync(name, ct);
        lock (_gate) return [.. _residents.Values.OrderBy(model => model.Name, StringComparer.Ordinal)];
    }

    /// <summary>Frees a resident model once the requests that use it have ended.</summary>
    /// <exception cref="NotFoundException">It is not resident.</exception>
    public async Task UnloadAsync(string name, CancellationToken ct)
    {
        await SettleAsync(name, ct);
        ResidentModel? model;
        lock (_gate)
        {
            bool hasFailed = _loading.TryGetValue(name, out Loading loading) && loading.Task.IsCompleted;
            if (!_residents.ContainsKey(name) && !hasFailed) throw new NotFoundException(ResourceType, name);
            list.Write(Entries().Where(entry => entry.Name != name));
            if (hasFailed) _loading.Remove(name);
            _ = _residents.Remove(name, out model);
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

    private async Task<StoredArtifact?> FindAsync(string name, string field, CancellationToken ct)
    {
        try
        {
            return await store.FindAsync(name, ct);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(field, e.Message);
        }
    }

    private async Task<ResidentModel?> FindResidentAsync(string name, CancellationToken ct)
    {
        Loading loading;
        lock (_gate)
        {
            if (_residents.TryGetValue(name, out ResidentModel? resident)) return resident;
            if (!_loading.TryGetValue(name, out loading)) return null;
        }

        return await loading.Task.WaitAsync(ct);
    }

    /// <summary>Waits until no load of the name is under way, however it ends.</summary>
    private async Task SettleAsync(string name, CancellationToken ct)
    {
        Loading loading;
        lock (_gate)
        {
            if (!_loading.TryGetValue(name, out loading)) return;
        }

        await ((Task)loading.Task).WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ct.ThrowIfCancellationRequested();
    }

    private async Task RestoreAsync(ResidentList.Entry entry)
    {
        Task loading;
        lock (_gate) loading = Begin(entry.Name, entry.Digest, isRestore: true).Task;
        await loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (loading.Exception is { } e) LogNotRestored(e.InnerException!, entry.Name);
    }

    /// <summary>Begins a load that outlives the request that asked for it. Called under the gate.</summary>
    private Loading Begin(string name, string digest, bool isRestore) =>
        _loading[name] = new Loading(digest, isRestore, Task.Run(() => LoadCoreAsync(name, digest, isRestore)));

    private async Task<ResidentModel> LoadCoreAsync(string name, string digest, bool isRestore)
    {
        ResidentModel? model = null;
        bool isAdmitted = false;
        try
        {
            model = await loader.LoadAsync(name, await store.GetAsync(digest, _stopping.Token), _stopping.Token);
            ResidentModel? replaced;
            lock (_gate)
            {
                list.Write(Entries().Where(entry => entry.Name != name).Append(new ResidentList.Entry(name, digest)));
                _ = _residents.Remove(name, out replaced);
                _residents.Add(name, model);
                _loading.Remove(name);
            }

            isAdmitted = true;
            LogLoaded(name, digest, model.Facts.ParameterCount, model.Facts.Device);
            if (replaced is not null) await replaced.RetireAsync();
            return model;
        }
        finally
        {
            if (!isAdmitted)
            {
                if (!isRestore) lock (_gate) _loading.Remove(name);
                if (model is not null) await model.RetireAsync();
            }
        }
    }

    /// <summary>What the next start is to restore. Called under the gate.</summary>
    private IEnumerable<ResidentList.Entry> Entries() => _residents.Values
        .Select(model => new ResidentList.Entry(model.Name, model.Digest))
        .Concat(_loading.Where(pair => pair.Value.IsRestore && !_residents.ContainsKey(pair.Key)).Select(pair => new ResidentList.Entry(pair.Key, pair.Value.Digest)));

    [LoggerMessage(Level = LogLevel.Information, Message = "Loaded {Name} ({Digest}): {Parameters} parameters on {Device}")]
    private partial void LogLoaded(string name, string digest, long parameters, string device);

    [LoggerMessage(Level = LogLevel.Information, Message = "Unloaded {Name}")]
    private partial void LogUnloaded(string name);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Name} was resident and cannot be loaded again")]
    private partial void LogNotRestored(Exception e, string name);

    private readonly record struct Loading(string Digest, bool IsRestore, Task<ResidentModel> Task);
}
