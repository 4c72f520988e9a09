namespace Lab.ModelHost.Scheduling;

/// <summary>The work that waits for a model.</summary>
/// <param name="Length">Requests that wait.</param>
/// <param name="Running">Requests that are being worked on.</param>
/// <param name="Wait">How long a small request of normal priority that comes now would wait: an estimate.</param>
internal readonly record struct QueueState(int Length, int Running, TimeSpan Wait);
