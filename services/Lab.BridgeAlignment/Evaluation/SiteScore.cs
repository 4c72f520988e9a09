namespace Lab.BridgeAlignment.Evaluation;

/// <summary>How good a bridge is at one site, on held-out tokens.</summary>
/// <param name="Hook">The site.</param>
/// <param name="EncoderNmse">Of the encoder; 0 is perfect, 1 is as good as the mean.</param>
/// <param name="DecoderNmse">Of the decoder.</param>
/// <param name="KlDenseToSparse">KL(dense || hybrid), nats per token: dense up to the site, sparse from there on.</param>
/// <param name="KlSparseToDense">KL(dense || hybrid), nats per token: sparse up to the site, dense from there on.</param>
/// <param name="MeanKlDenseToSparse">The control of <paramref name="KlDenseToSparse"/>: the mean residual in place of the encoded one.</param>
/// <param name="MeanKlSparseToDense">The control of <paramref name="KlSparseToDense"/>.</param>
internal sealed record SiteScore(
    string Hook, double EncoderNmse, double DecoderNmse, double KlDenseToSparse, double KlSparseToDense, double MeanKlDenseToSparse, double MeanKlSparseToDense);
