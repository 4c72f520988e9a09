using Lab.Models;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>
/// Loss and gradients of a weight-sparse transformer (Gao et al. 2025, section 2.1), forward and backward by hand: the numbers of
/// libtorch's autograd but for rounding, with kernels that know AbsTopK, short contexts and sparse weights, in memory that is
/// taken once. On the CPU in FP32.
/// </summary>
internal sealed unsafe class TrainingPass : IDisposable
{
    private const AbsTopKSites Sites =
        AbsTopKSites.AttnIn | AbsTopKSites.AttnQ | AbsTopKSites.AttnK | AbsTopKSites.AttnV | AbsTopKSites.AttnOut | AbsTopKSites.MlpIn | AbsTopKSites.MlpNeuron | AbsTopKSites.MlpOut;

    private readonly TransformerWeights _weights;
    private readonly int _length;
    private readonly Gradients _gradients;
    private readonly SharedGradients _shared;
    private readonly AttentionPass[] _attentions;
    private readonly MlpPass[] _mlps;
    private readonly Matrix[] _residuals;
    private readonly NormMap _finalNorm;
    private readonly LinearMap _unembedding;
    private readonly Matrix _finalRead, _logits, _losses;
    private readonly int[] _ids, _targets, _positions;

    /// <param name="model">The model; its parameters are read in place and must stay where they are.</param>
    /// <param name="rows">Sequences of a batch.</param>
    /// <param name="length">Tokens of a sequence that are read.</param>
    /// <exception cref="ArgumentException">The model is none that <see cref="Supports"/>.</exception>
    public TrainingPass(Transformer model, int rows, int length)
    {
        if (!Supports(model)) throw new ArgumentException("Only a weight-sparse transformer in FP32 on the CPU is trained by hand.", nameof(model));
        TransformerConfig config = model.Config;
        int tokens = rows * length;
        (_weights, _length) = (model.Weights, length);
        _gradients = new Gradients(_weights);
        _shared = new SharedGradients(config, tokens);
        _attentions = [.. _weights.Blocks.Select(block => new AttentionPass(config, block, _gradients, rows, length))];
        _mlps = [.. _weights.Blocks.Select(block => new MlpPass(config, block, _gradients, tokens))];
        _residuals = [.. Enumerable.Range(0, (2 * config.NLayers) + 1).Select(_ => new Matrix(tokens, config.DModel))];
        _finalNorm = new NormMap(_weights.LnFinal, _gradients, tokens, config.NormEpsilon);
        _unembedding = new LinearMap(_weights.Unembedding, null, _gradients);
        (_finalRead, _logits, _losses) = (new Matrix(tokens, config.DModel), new Matrix(tokens, config.DVocab), new Matrix(tokens, 1));
        _ids = GC.AllocateArray<int>(tokens, pinned: true);
        _targets = GC.AllocateArray<int>(tokens, pinned: true);
        _positions = GC.AllocateArray<int>(tokens, pinned: true);
        for (int token = 0; token < tokens; token++) _positions[token] = token % length;
    }

    /// <summary>Bytes of activations and their gradients, beside the parameters' gradients.</summary>
    public long ActivationBytes => _attentions.Sum(attention => attention.SizeBytes) + _mlps.Sum(mlp => mlp.SizeBytes) + _residuals.Sum(matrix => matrix.SizeBytes)
        + _finalRead.SizeBytes + _logits.SizeBytes + _shared.SizeBytes;

    /// <summary>Whether a model can be trained so; others are trained by autograd.</summary>
    public static bool Supports(Transformer model)
    {
        TransformerConfig config = model.Config;
        return config is
        {
            Family: ModelFamily.CircuitSparsity, Norm: NormKind.Rms, NormGainOffset: 0, SandwichNorms: false, QkNorm: false, DPos: 0, Rotary: null,
            Positions: PositionKind.None or PositionKind.Learned, AttentionScale: 0, ScaleAttentionByLayer: false, AttentionSoftCap: 0,
            Activation: ActivationFunction.Gelu or ActivationFunction.Relu, GatedMlp: false, ResidualRelu: false, EmbeddingScale: 1, LogitSoftCap: 0,
        }
            && config.LocalLayers.Count == 0 && config.KeyValueHeads == config.NHeads
            && (config.ActivationFraction >= 1 || (config.ActivationSites & ~Sites) == 0)
            && model.Weights.All.All(parameter => HostMemory.IsAddressable(parameter.Value));
    }

    /// <summary>Runs a batch; the gradients of its mean loss become the parameters' gradients.</summary>
    /// <param name="batch">[rows, length + 1] token IDs; the last of each row is a target only.</param>
    /// <returns>Mean cross-entropy, in nats per token.</returns>
    /// <exception cref="ArgumentException">The batch has another size, or a token that is not in the vocabulary.</exception>
    /// <exception cref="ArithmeticException">An activation is not finite.</exception>
    public double Run(ReadOnlySpan<long> batch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Read(batch);
        fixed (int* ids = _ids, targets = _targets, positions = _positions)
        {
            Forward(ids);
            double loss = CrossEntropyKernel.Run(_logits.Data, Address(_weights.Bigram), Address(_weights.FinalLogitsBias), ids, targets, _losses.Data, _logits.Rows, _logits.Columns);
            if (!double.IsFinite(loss)) throw new ArithmeticException($"The loss became {loss}.");
            Backward(ids, positions);
            _gradients.Publish();
            return loss;
        }
    }

    public void Dispose()
    {
        foreach (IDisposable part in (IDisposable[])[.. _attentions, .. _mlps, .. _residuals, _finalNorm, _unembedding, _finalRead, _logits, _losses, _shared, _gradients]) part.Dispose();
    }

    private static float* Address(NamedParameter? parameter) => parameter is null ? null : HostMemory.Address(parameter.Value);

    private void Read(ReadOnlySpan<long> batch)
    {
        int rows = _ids.Length / _length;
        if (batch.Length != rows * (_length + 1)) throw new ArgumentException($"Needs {rows} x {_length + 1} tokens, has {batch.Length}.", nameof(batch));
        // The kernels look rows up by address.
        foreach (long id in batch)
        {
            if ((ulong)id >= (ulong)_logits.Columns) throw new ArgumentException($"Token {id} is outside of the vocabulary of {_logits.Columns}.", nameof(batch));
        }

        for (int token = 0; token < _ids.Length; token++)
        {
            int at = token + (token / _length);
            (_ids[token], _targets[token]) = ((int)batch[at], (int)batch[at + 1]);
        }
    }

    private void Forward(int* ids)
    {
        int tokens = _ids.Length;
        RowKernels.Gather(Address(_weights.TokenEmbedding), ids, Address(_weights.PositionEmbedding), _length, _residuals[0].Data, tokens, _residuals[0].Columns);
        for (int layer = 0; layer < _attentions.Length; layer++)
        {
            _attentions[layer].Refresh(tokens);
            _mlps[layer].Refresh(tokens);
            _attentions[layer].Forward(_residuals[2 * layer], _residuals[(2 * layer) + 1]);
            _mlps[layer].Forward(_residuals[(2 * layer) + 1], _residuals[(2 * layer) + 2]);
        }

        _finalNorm.Forward(_residuals[^1], _finalRead);
        _unembedding.Refresh(tokens);
        _unembedding.Forward(_finalRead, _logits);
    }

    private void Backward(int* ids, int* positions)
    {
        int tokens = _ids.Length;
        if (_weights.Bigram is { } bigram && _gradients.Has(bigram))
        {
            _gradients.Of(bigram).zero_();
            ColumnKernels.ScatterAdd(_logits.Data, ids, _gradients.Address(bigram), tokens, _logits.Columns);
        }

        // Of a tied table this is the first part of the gradient; the embedding's comes on top.
        bool isTied = ReferenceEquals(_weights.Unembedding, _weights.TokenEmbedding);
        _unembedding.ParameterGradients(_logits, _finalRead);
        _unembedding.InputGradient(_logits, _shared.Read);
        _shared.Residual.Clear();
        _finalNorm.Backward(_residuals[^1], _shared.Read, _shared.Residual);
        for (int layer = _attentions.Length - 1; layer >= 0; layer--)
        {
            _mlps[layer].Backward(_residuals[(2 * layer) + 1], _shared);
            _attentions[layer].Backward(_residuals[2 * layer], _shared);
        }

        if (!isTied) _gradients.Of(_weights.TokenEmbedding).zero_();
        ColumnKernels.ScatterAdd(_shared.Residual.Data, ids, _gradients.Address(_weights.TokenEmbedding), tokens, _shared.Residual.Columns);
        if (_weights.PositionEmbedding is not { } table) return;
        _gradients.Of(table).zero_();
        ColumnKernels.ScatterAdd(_shared.Residual.Data, positions, _gradients.Address(table), tokens, _shared.Residual.Columns);
    }
}
