using Lab.BridgeAlignment.Bridges;
using Lab.BridgeAlignment.Streams;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Evaluation;

/// <summary>Measures a bridge on held-out tokens: the NMSE of its maps, and what a model loses that goes on from a translated residual.</summary>
/// <param name="bridge">The bridge; used on the worker's thread only.</param>
/// <param name="worker">Has the bridge's thread.</param>
/// <param name="source">Runs the models.</param>
/// <param name="denseModel">The dense model's digest.</param>
/// <param name="sparseModel">The sparse model's digest.</param>
/// <param name="vocabulary">Tokens in both models' vocabulary.</param>
internal sealed class BridgeEvaluator(Bridge bridge, TensorWorker worker, IActivationSource source, string denseModel, string sparseModel, int vocabulary)
{
    private const int LogitBytesAtOnce = 32 << 20;

    private readonly ResidualStream _stream = new(source, denseModel, sparseModel, bridge.Shape.Sites);

    /// <summary>Evaluates the bridge.</summary>
    /// <param name="batch">The held-out tokens.</param>
    /// <param name="report">Is told passes done, and of how many.</param>
    /// <param name="ct">Stops between two requests.</param>
    public async Task<BridgeScore> EvaluateAsync(TokenBatch batch, Action<long, long> report, CancellationToken ct)
    {
        TokenBatch[] parts = [.. Split(batch)];
        int sites = bridge.Sites.Count;
        long done = 0, total = parts.Length * (sites + 1L);

        ErrorSums[] encoder = [.. bridge.Sites.Select(_ => new ErrorSums(bridge.Shape.SparseWidth))];
        ErrorSums[] decoder = [.. bridge.Sites.Select(_ => new ErrorSums(bridge.Shape.DenseWidth))];
        foreach (TokenBatch part in parts)
        {
            ResidualBatch residuals = await _stream.ReadAsync(part, ct);
            await worker.RunAsync(_ => Measure(residuals, encoder, decoder), ct);
            report(++done, total);
        }

        double models = 0;
        double[][] divergences = [.. bridge.Sites.Select(_ => new double[4])];
        foreach (TokenBatch part in parts)
        {
            ResidualBatch residuals = await _stream.ReadAsync(part, ct);
            HostTensor[] plain = await Task.WhenAll(source.ReadLogitsAsync(denseModel, part, null, ct), source.ReadLogitsAsync(sparseModel, part, null, ct));
            models += (await worker.RunAsync(_ => KlDivergence.Sums(plain[0], plain[1..], bridge.Device), ct))[0];
            for (int site = 0; site < sites; site++)
            {
                HostTensor[] hybrids = await RunHybridsAsync(part, residuals, site, encoder[site].Mean, decoder[site].Mean, ct);
                double[] sums = await worker.RunAsync(_ => KlDivergence.Sums(plain[0], hybrids, bridge.Device), ct);
                for (int i = 0; i < sums.Length; i++) divergences[site][i] += sums[i];
                report(++done, total);
            }
        }

        double tokens = batch.Ids.Length;
        return new BridgeScore(
            [.. bridge.Sites.Select((site, i) => new SiteScore(
                site.Hook, encoder[i].Nmse, decoder[i].Nmse, divergences[i][0] / tokens, divergences[i][1] / tokens, divergences[i][2] / tokens, divergences[i][3] / tokens))],
            models / tokens,
            batch.Ids.Length);
    }

    /// <summary>The logits of four hybrids at a site: encoded into the sparse model, decoded into the dense model, and both with means instead.</summary>
    private async Task<HostTensor[]> RunHybridsAsync(TokenBatch part, ResidualBatch residuals, int site, float[] sparseMean, float[] denseMean, CancellationToken ct)
    {
        string hook = bridge.Sites[site].Hook;
        (HostTensor encoded, HostTensor decoded) = await worker.RunAsync(_ => Translate(residuals, site), ct);
        return await Task.WhenAll(
            source.ReadLogitsAsync(sparseModel, part, encoded, ct),
            source.ReadLogitsAsync(denseModel, part, decoded, ct),
            source.ReadLogitsAsync(sparseModel, part, HostTensor.FromFloats(hook, sparseMean, sparseMean.Length), ct),
            source.ReadLogitsAsync(denseModel, part, HostTensor.FromFloats(hook, denseMean, denseMean.Length), ct));
    }

    private void Measure(ResidualBatch residuals, ErrorSums[] encoder, ErrorSums[] decoder)
    {
        for (int site = 0; site < bridge.Sites.Count; site++)
        {
            using var scope = NewDisposeScope();
            Tensor dense = Rows(residuals.Dense[site]), sparse = Rows(residuals.Sparse[site]);            // (N, Cd), (N, Cs)
            encoder[site].Add(bridge.Encode(site, dense), sparse);
            decoder[site].Add(bridge.Decode(site, sparse), dense);
        }
    }

    private (HostTensor Encoded, HostTensor Decoded) Translate(ResidualBatch residuals, int site)
    {
        using var scope = NewDisposeScope();
        HostTensor dense = residuals.Dense[site], sparse = residuals.Sparse[site];
        string hook = bridge.Sites[site].Hook;
        return (bridge.Encode(site, Rows(dense)).view(sparse.Shape).ToHost(hook), bridge.Decode(site, Rows(sparse)).view(dense.Shape).ToHost(hook));
    }

    private IEnumerable<TokenBatch> Split(TokenBatch batch)
    {
        long widest = Math.Max(bridge.Shape.DenseWidth, bridge.Shape.SparseWidth);
        long rows = Math.Min(
            TensorMessages.MaxDataBytes / (sizeof(float) * batch.Length * widest),
            LogitBytesAtOnce / (sizeof(float) * (long)batch.Length * vocabulary));
        int step = (int)Math.Clamp(rows, 1, batch.Rows);
        for (int first = 0; first < batch.Rows; first += step) yield return batch.Slice(first, Math.Min(step, batch.Rows - first));
    }

    private Tensor Rows(HostTensor residual) => residual.ToTorch(bridge.Device).view(-1, residual.Shape[^1]);
}
