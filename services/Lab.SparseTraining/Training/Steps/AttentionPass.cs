using Lab.Models;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>One layer's attention: from the residual stream to the residual stream, and back.</summary>
internal sealed unsafe class AttentionPass : IDisposable
{
    private readonly NormMap _norm;
    private readonly LinearMap _toQueries, _toKeys, _toValues, _out;
    private readonly KeptChannels _keptRead, _keptQueries, _keptKeys, _keptValues, _keptAdded;
    private readonly Matrix _read, _queries, _keys, _values, _heads, _logSumExp;
    private readonly Matrix? _sinkGradients;
    private readonly CausalAttention _attention;
    private readonly float* _sinks;
    private readonly float* _sinkGradient;

    public AttentionPass(TransformerConfig config, BlockWeights block, Gradients gradients, int rows, int length)
    {
        (int tokens, int width) = (rows * length, config.NHeads * config.DHead);
        AttentionWeights weights = block.Attention;
        _norm = new NormMap(block.Ln1, gradients, tokens, config.NormEpsilon);
        _toQueries = new LinearMap(weights.Qkv!.Weight, weights.Qkv.Bias, gradients, 0, width);
        _toKeys = new LinearMap(weights.Qkv.Weight, weights.Qkv.Bias, gradients, width, width);
        _toValues = new LinearMap(weights.Qkv.Weight, weights.Qkv.Bias, gradients, 2 * width, width);
        _out = new LinearMap(weights.Out.Weight, weights.Out.Bias, gradients);
        _keptRead = new KeptChannels(config, AbsTopKSites.AttnIn, tokens, config.DModel);
        _keptQueries = new KeptChannels(config, AbsTopKSites.AttnQ, tokens, width);
        _keptKeys = new KeptChannels(config, AbsTopKSites.AttnK, tokens, width);
        _keptValues = new KeptChannels(config, AbsTopKSites.AttnV, tokens, width);
        _keptAdded = new KeptChannels(config, AbsTopKSites.AttnOut, tokens, config.DModel);
        (_read, _queries, _keys) = (new Matrix(tokens, config.DModel), new Matrix(tokens, width), new Matrix(tokens, width));
        (_values, _heads, _logSumExp) = (new Matrix(tokens, width), new Matrix(tokens, width), new Matrix(tokens, config.NHeads));
        _attention = new CausalAttention(rows, length, config.NHeads, config.DHead, (float)(1 / Math.Sqrt(config.DHead)));
        if (weights.SinkLogit is null) return;
        _sinks = HostMemory.Address(weights.SinkLogit.Value);
        _sinkGradient = gradients.Address(weights.SinkLogit);
        _sinkGradients = new Matrix(rows, config.NHeads);
    }

    /// <summary>Bytes of activations.</summary>
    public long SizeBytes => new[] { _read, _queries, _keys, _values, _heads, _logSumExp }.Sum(matrix => matrix.SizeBytes);

    /// <summary>The weights have changed.</summary>
    public void Refresh(int tokens)
    {
        _toQueries.Refresh(tokens);
        _toKeys.Refresh(tokens);
        _toValues.Refresh(tokens);
        _out.Refresh(tokens);
    }

    /// <summary>y = x + attention(x).</summary>
    public void Forward(Matrix x, Matrix y)
    {
        _norm.Forward(x, _read);
        _keptRead.Select(_read.Data);
        _toQueries.Forward(_read, _queries);
        _keptQueries.Select(_queries.Data);
        _toKeys.Forward(_read, _keys);
        _keptKeys.Select(_keys.Data);
        _toValues.Forward(_read, _values);
        _keptValues.Select(_values.Data);
        _attention.Forward(_queries.Data, _keys.Data, _values.Data, _sinks, _heads.Data, _logSumExp.Data);
        _out.Forward(_heads, y);
        _keptAdded.Select(y.Data);
        RowKernels.Add(x.Data, y.Data, y.Data, x.Count);
    }

    /// <summary>The residual's gradient after the sublayer becomes that before it.</summary>
    public void Backward(Matrix x, SharedGradients shared)
    {
        _keptAdded.Mask(shared.Residual.Data, shared.Added.Data);
        _out.ParameterGradients(shared.Added, _heads);
        _out.InputGradient(shared.Added, shared.Queries);
        _attention.Backward(
            _queries.Data, _keys.Data, _values.Data, _sinks, _heads.Data, _logSumExp.Data, shared.Queries.Data,
            shared.Queries.Data, shared.Keys.Data, shared.Values.Data, _sinkGradients is null ? null : _sinkGradients.Data);
        if (_sinkGradients is not null) ColumnKernels.Sum(_sinkGradients.Data, _sinkGradient, _sinkGradients.Rows, _sinkGradients.Columns);
        _keptQueries.Mask(shared.Queries.Data);
        _keptKeys.Mask(shared.Keys.Data);
        _keptValues.Mask(shared.Values.Data);
        _toQueries.ParameterGradients(shared.Queries, _read);
        _toKeys.ParameterGradients(shared.Keys, _read);
        _toValues.ParameterGradients(shared.Values, _read);
        _toQueries.InputGradient(shared.Queries, shared.Read);
        _toKeys.InputGradient(shared.Keys, shared.Read, accumulates: true);
        _toValues.InputGradient(shared.Values, shared.Read, accumulates: true);
        _keptRead.Mask(shared.Read.Data);
        _norm.Backward(x, shared.Read, shared.Residual);
    }

    public void Dispose()
    {
        foreach (IDisposable? part in new IDisposable?[]
        {
            _norm, _toQueries, _toKeys, _toValues, _out, _keptRead, _keptQueries, _keptKeys, _keptValues, _keptAdded,
            _read, _queries, _keys, _values, _heads, _logSumExp, _sinkGradients,
        }) part?.Dispose();
    }
}
