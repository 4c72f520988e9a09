using TorchSharp;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>Where runs compute.</summary>
internal sealed record PruningDevice(torch.Device Device);
