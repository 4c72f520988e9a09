namespace Lab.ServiceDefaults.Runs;

/// <summary>A run on disk.</summary>
/// <param name="Id">The run's ID, the name of its folder.</param>
/// <param name="Request">The run as it was asked for: without name, status and outputs.</param>
/// <param name="Run">The run as it was last stored.</param>
internal sealed record RunRecord<TRun>(string Id, TRun Request, TRun Run);
