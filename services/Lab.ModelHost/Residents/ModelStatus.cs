namespace Lab.ModelHost.Residents;

/// <summary>What has become of a model.</summary>
internal enum Residency
{
    Loading,
    Resident,
    Failed,
    Evicted,
    Unloaded,
}

/// <summary>A model as it was at one moment.</summary>
/// <param name="Source">Where it comes from.</param>
/// <param name="State">What has become of it.</param>
internal sealed record ModelStatus(ModelSource Source, Residency State)
{
    /// <summary>The model, if it is resident.</summary>
    public ResidentModel? Model { get; init; }

    /// <summary>Why it failed or was evicted.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Whether it stays when memory is needed.</summary>
    public bool IsPinned { get; init; }

    /// <summary>Bytes of the weights; 0 as long as that is not known.</summary>
    public long SizeBytes { get; init; }

    /// <summary>Bytes read so far.</summary>
    public long LoadedBytes { get; init; }
}
