using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Residents;

/// <summary>What names stand for, and what models are.</summary>
internal sealed partial class ModelRegistry
{
    private async Task<ModelSource> FindSourceAsync(LoadOrder order, CancellationToken ct)
    {
        StoredArtifact? artifact = await FindStoredAsync(order.Name, "name", ct);
        if (order.Folder is not null)
        {
            if (artifact is not null || order.Name.StartsWith("sha256:", StringComparison.Ordinal))
                throw new FailedPreconditionException("NAME_IN_STORE", $"'{order.Name}' names an artifact of the store: give the folder's model another name.");
            return SourceOf(order, folders.Resolve(order.Folder));
        }

        if (artifact is not null)
        {
            if (artifact.Kind != "model") throw new InvalidRequestException("name", $"'{order.Name}' is a {artifact.Kind}, not a model.");
            return new ModelSource(order.Name, artifact.Digest, null, order.Type);
        }

        ModelSource? known;
        lock (_gate) known = KnownSource(order.Name);
        return known?.Folder is { } folder
            ? SourceOf(order with { Type = order.Type ?? known.Type }, folders.Resolve(folder))
            : throw new NotFoundException(ResourceType, order.Name);
    }

    private static ModelSource SourceOf(LoadOrder order, string folder) => new(order.Name, ModelFolders.VersionOf(folder), folder, order.Type);

    private async Task<StoredArtifact?> FindStoredAsync(string name, string field, CancellationToken ct)
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

    private static ModelStatus StatusOf(ResidentModel model) => new(model.Source, Residency.Resident)
    {
        Model = model,
        IsPinned = model.IsPinned,
        SizeBytes = model.Facts.SizeBytes,
        LoadedBytes = model.Facts.SizeBytes,
    };

    private static ModelStatus StatusOf(Evicted evicted) => new(evicted.Source, Residency.Evicted) { Reason = evicted.Reason };

    private static ModelStatus StatusOf(Loading loading) => new(loading.Source, loading.Task.IsFaulted ? Residency.Failed : Residency.Loading)
    {
        Reason = loading.Task.Exception is { } e ? ReasonOf(e.InnerException!) : "",
        IsPinned = loading.IsPinned,
        SizeBytes = loading.SizeBytes,
        LoadedBytes = loading.LoadedBytes,
    };

    /// <summary>What callers may read of it.</summary>
    private static string ReasonOf(Exception e) => ErrorMapping.ToStatus(e).Message;
}
