namespace Lab.ModelHost.Scheduling;

/// <summary>The forward pass that a request takes part in.</summary>
/// <param name="Requests">Requests that share it.</param>
/// <param name="Rows">Rows of all of them.</param>
/// <param name="Started">When it began, as a timestamp.</param>
/// <param name="Stopping">Fires when the model's thread is to end.</param>
internal sealed record SharedPass(int Requests, int Rows, long Started, CancellationToken Stopping);
