namespace Lab.BridgeAlignment.Bridges;

/// <summary>The two maps at one site.</summary>
/// <param name="Hook">The hook in both models.</param>
/// <param name="Encoder">Dense to sparse, before AbsTopK.</param>
/// <param name="Decoder">Sparse to dense.</param>
internal sealed record BridgeSite(string Hook, LinearMap Encoder, LinearMap Decoder);
