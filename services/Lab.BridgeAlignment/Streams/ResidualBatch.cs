using Lab.Tensors;

namespace Lab.BridgeAlignment.Streams;

/// <summary>Both models' residuals of one batch, site by site.</summary>
/// <param name="Dense">[rows, length, dense width] each.</param>
/// <param name="Sparse">[rows, length, sparse width] each.</param>
internal sealed record ResidualBatch(IReadOnlyList<HostTensor> Dense, IReadOnlyList<HostTensor> Sparse);
