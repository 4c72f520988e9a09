namespace Lab.BridgeAlignment.Evaluation;

/// <summary>How good a bridge is.</summary>
/// <param name="Sites">At each site, in the order of the forward pass.</param>
/// <param name="KlModels">KL(dense || sparse) of the two models themselves, nats per token.</param>
/// <param name="Tokens">Held-out tokens that were measured.</param>
internal sealed record BridgeScore(IReadOnlyList<SiteScore> Sites, double KlModels, long Tokens);
