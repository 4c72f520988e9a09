using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Interventions;
using Lab.SparseTraining.Training.Interventions;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.SparseTraining.Training;

/// <summary>Evaluates a model on the same evenly spaced windows of the held-out split every time.</summary>
/// <param name="split">The held-out split.</param>
/// <param name="config">The architecture: windows are as long as its context.</param>
/// <param name="maxTokens">How many tokens at most; at least one window is taken.</param>
/// <param name="batchSize">The most windows in one pass.</param>
internal sealed class HeldOutEvaluator(TokenSplit split, TransformerConfig config, long maxTokens, int batchSize)
{
    /// <summary>Of all heads' attention scores in one pass. Training by hand keeps none: an evaluation must not be what needs the most memory.</summary>
    private const long MaxScoreBytes = 16 << 20;

    private readonly int _length = config.NCtx;
    private readonly int _rows = (int)Math.Clamp(MaxScoreBytes / ((long)config.NHeads * config.NCtx * config.NCtx * sizeof(float)), 1, batchSize);

    public HeldOutEvaluation Evaluate(Transformer model, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using EvaluationTap measured = new(model);
        return measured.ToEvaluation(MeanLoss((tokens, _) => NextTokenLoss(model, tokens, measured), ct));
    }

    /// <summary>The mean cross-entropy under interventions, on the same windows, in nats per token.</summary>
    public double LossUnder(TrainingInterventions interventions, Transformer model, CancellationToken ct)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return MeanLoss(
            (tokens, batch) =>
            {
                // Steps are numbered from 0 on: the draws of an evaluation are its own, and the same each time.
                using InterventionTap? tap = interventions.TapFor(-1 - batch, tokens.data<long>().ToArray(), isCounted: false);
                return NextTokenLoss(model, tokens, tap);
            },
            ct);
    }

    /// <summary>The mean over all windows.</summary>
    private double MeanLoss(Func<Tensor, long, Tensor> lossOf, CancellationToken ct)
    {
        long windows = Math.Max(1, Math.Min(maxTokens, split.Length - 1) / _length);
        long stride = Math.Max(1, (split.Length - 1) / windows);
        long[] buffer = new long[_rows * (_length + 1)];
        double sum = 0;
        for (long first = 0; first < windows; first += _rows)
        {
            ct.ThrowIfCancellationRequested();
            using var batchScope = NewDisposeScope();
            int rows = (int)Math.Min(_rows, windows - first);
            for (int row = 0; row < rows; row++) split.Read((first + row) * stride, buffer.AsSpan(row * (_length + 1), _length + 1));
            Tensor tokens = tensor(buffer.AsSpan(0, rows * (_length + 1)).ToArray(), rows, _length + 1);
            sum += lossOf(tokens, first / _rows).item<float>() * rows;
        }

        return sum / windows;
    }

    /// <summary>Mean cross-entropy of each next token, in nats.</summary>
    public static Tensor NextTokenLoss(Transformer model, Tensor tokens, IActivationTap? tap = null)
    {
        long length = tokens.shape[1] - 1;
        Tensor logits = model.Forward(tokens.narrow(1, 0, length), tap);
        return F.cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, length).flatten());
    }
}
