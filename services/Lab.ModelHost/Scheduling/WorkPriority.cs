namespace Lab.ModelHost.Scheduling;

/// <summary>Which requests go first. A step is worth as much as <see cref="ModelScheduler.Aging"/> of waiting, so that none waits for ever.</summary>
internal enum WorkPriority
{
    High = -1,
    Normal = 0,
    Low = 1,
}
