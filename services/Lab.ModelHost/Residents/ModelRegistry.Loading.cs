using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Residents;

/// <summary>Loading, and making room for it.</summary>
internal sealed partial class ModelRegistry
{
    /// <summary>Watchers get told this often while a model is being loaded.</summary>
    private const int ProgressSteps = 50;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private async Task RestoreAsync(ResidentList.Entry entry)
    {
        Task loading;
        lock (_gate)
        {
            // A folder's files may have changed since, or gone: what they are now is seen when they are opened.
            string version = entry.Digest ?? (Directory.Exists(entry.Folder) ? ModelFolders.VersionOf(entry.Folder) : "");
            loading = Begin(new ModelSource(entry.Name, version, entry.Folder, entry.Type), entry.IsPinned, isRestore: true).Task;
        }

        await loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (loading.Exception is { } e) LogNotRestored(e.InnerException!, entry.Name);
    }

    /// <summary>Begins a load that outlives the request that asked for it. Called under the gate.</summary>
    private Loading Begin(ModelSource source, bool isPinned, bool isRestore)
    {
        Loading loading = new(source, isPinned, isRestore);
        _loading[source.Name] = loading;
        loading.Task = Task.Run(() => LoadCoreAsync(loading));
        _feed.Publish(StatusOf(loading));
        return loading;
    }

    private async Task<ResidentModel> LoadCoreAsync(Loading loading)
    {
        string name = loading.Source.Name;
        ModelMemory.Share? share = null;
        ResidentModel? model = null;
        try
        {
            // Not allowed any more, perhaps.
            if (loading.Source.Folder is { } folder) folders.Resolve(folder);
            using ModelFiles files = await loader.OpenAsync(loading.Source, _stopping.Token);
            share = await MakeRoomAsync(loading, files.SizeBytes);
            model = await loader.LoadAsync(files, share, bytes => Report(loading, bytes), _stopping.Token);
            share.Resize(model.Facts.SizeBytes);
            ResidentModel? replaced;
            lock (_gate)
            {
                model.IsPinned = loading.IsPinned;
                list.Write(Entries().Where(entry => entry.Name != name).Append(EntryOf(model)));
                _ = _residents.Remove(name, out replaced);
                _residents.Add(name, model);
                _loading.Remove(name);
                _evicted.Remove(name);
                _feed.Publish(StatusOf(model));
            }

            LogLoaded(name, model.Digest, model.Facts.ParameterCount, model.Facts.Device);
            if (replaced is not null) await replaced.RetireAsync();
            return model;
        }
        catch (Exception e)
        {
            await FailAsync(loading, e, model, share);
            throw;
        }
    }

    private async Task FailAsync(Loading loading, Exception e, ResidentModel? model, ModelMemory.Share? share)
    {
        bool isAdmitted;
        lock (_gate)
        {
            isAdmitted = model is not null && _residents.ContainsValue(model);
            if (!isAdmitted && !loading.IsRestore && _loading.GetValueOrDefault(loading.Source.Name) == loading) _loading.Remove(loading.Source.Name);
            if (!isAdmitted) _feed.Publish(new ModelStatus(loading.Source, Residency.Failed) { Reason = ReasonOf(e) });
        }

        if (isAdmitted) return;
        if (model is not null) await model.RetireAsync();
        share?.Dispose();
    }

    private void Report(Loading loading, long bytes)
    {
        long step = Math.Max(1, loading.SizeBytes / ProgressSteps);
        bool isNews = bytes / step > loading.LoadedBytes / step;
        loading.LoadedBytes = bytes;
        if (!isNews) return;
        lock (_gate) _feed.Publish(StatusOf(loading));
    }

    /// <summary>Takes memory for a model, and lets others go for it, those first that were used least recently.</summary>
    /// <exception cref="ResourceExhaustedException">It cannot be had. Then none goes.</exception>
    private async Task<ModelMemory.Share> MakeRoomAsync(Loading loading, long bytes)
    {
        string name = loading.Source.Name;
        List<ResidentModel> going = [];
        ModelMemory.Share share;
        lock (_gate)
        {
            loading.SizeBytes = bytes;
            if (bytes > memory.Limit)
                throw new ResourceExhaustedException("MODEL_TOO_LARGE", $"The weights of '{name}' take {bytes} bytes; all models together may take {memory.Limit}.");
            long lack = memory.HeldBytes + bytes - memory.Limit;
            // At the start none goes: which one stays would be chance.
            ResidentModel[] idle = loading.IsRestore ? [] : [.. _residents.Values.Where(model => !model.IsPinned && model.LeaseCount == 0).OrderBy(model => model.UseOrder)];
            if (lack > idle.Sum(model => model.Facts.SizeBytes)) throw NoRoom(name, bytes);
            foreach (ResidentModel model in idle)
            {
                if (lack <= 0) break;
                if (!model.TryClose()) continue;
                lack -= model.Facts.SizeBytes;
                going.Add(model);
            }

            if (lack > 0)
            {
                // One of them came into use meanwhile.
                going.ForEach(model => model.Reopen());
                throw NoRoom(name, bytes);
            }

            if (going.Count > 0) WriteWithout(going);
            going.ForEach(model => Evict(model, name));
            share = memory.Take(bytes);
            _feed.Publish(StatusOf(loading));
        }

        try
        {
            await Task.WhenAll(going.Select(model => model.RetireAsync()));
            return share;
        }
        catch
        {
            share.Dispose();
            throw;
        }
    }

    /// <summary>Lets models go from the list before they go themselves: if it cannot be written, they stay. Called under the gate.</summary>
    private void WriteWithout(List<ResidentModel> going)
    {
        try
        {
            list.Write(Entries().Where(entry => going.All(model => model.Name != entry.Name)));
        }
        catch
        {
            going.ForEach(model => model.Reopen());
            throw;
        }
    }

    /// <summary>Called under the gate.</summary>
    private void Evict(ResidentModel model, string by)
    {
        Evicted evicted = new(model.Source, $"It was evicted to make room for '{by}'.");
        _residents.Remove(model.Name);
        _evicted[model.Name] = evicted;
        _feed.Publish(StatusOf(evicted));
        LogEvicted(model.Name, by);
    }

    private ResourceExhaustedException NoRoom(string name, long bytes)
    {
        bool isBusy = _residents.Values.Any(model => !model.IsPinned) || _loading.Values.Any(other => other.Source.Name != name && !other.Task.IsCompleted);
        return new ResourceExhaustedException(
            "MODEL_MEMORY_BUSY",
            $"The weights of '{name}' take {bytes} bytes. Models that are pinned or in use hold {memory.HeldBytes} of {memory.Limit}: unpin or unload one.",
            isBusy ? RetryDelay : null);
    }

    /// <summary>What the next start is to restore. Called under the gate.</summary>
    private IEnumerable<ResidentList.Entry> Entries() => _residents.Values
        .Select(EntryOf)
        .Concat(_loading.Values.Where(loading => loading.IsRestore && !_residents.ContainsKey(loading.Source.Name)).Select(loading => EntryOf(loading.Source, loading.IsPinned)));

    private static ResidentList.Entry EntryOf(ResidentModel model) => EntryOf(model.Source, model.IsPinned);

    private static ResidentList.Entry EntryOf(ModelSource source, bool isPinned) =>
        new(source.Name, source.Folder is null ? source.Version : null, source.Folder, source.Type, isPinned);

    [LoggerMessage(Level = LogLevel.Information, Message = "Loaded {Name} ({Digest}): {Parameters} parameters on {Device}")]
    private partial void LogLoaded(string name, string digest, long parameters, string device);

    [LoggerMessage(Level = LogLevel.Information, Message = "Evicted {Name} to make room for {Other}")]
    private partial void LogEvicted(string name, string other);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Name} was resident and cannot be loaded again")]
    private partial void LogNotRestored(Exception e, string name);

    /// <summary>A load that is under way, or one of the start that failed.</summary>
    private sealed class Loading(ModelSource source, bool isPinned, bool isRestore)
    {
        public ModelSource Source => source;

        public bool IsPinned => isPinned;

        public bool IsRestore => isRestore;

        public Task<ResidentModel> Task { get; set; } = null!;

        /// <summary>From the headers; 0 until they are read.</summary>
        public long SizeBytes { get; set; }

        public long LoadedBytes { get; set; }
    }
}
