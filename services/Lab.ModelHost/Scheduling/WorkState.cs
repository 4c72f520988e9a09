namespace Lab.ModelHost.Scheduling;

/// <summary>Where a <see cref="ModelWork"/> is.</summary>
internal enum WorkState
{
    /// <summary>Before its first turn.</summary>
    Waiting,

    /// <summary>In a turn.</summary>
    Running,

    /// <summary>Between turns.</summary>
    Ready,

    /// <summary>Over.</summary>
    Ended,
}
