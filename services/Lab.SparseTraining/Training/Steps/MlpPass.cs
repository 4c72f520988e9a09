using Lab.Models;
using Lab.Tensors.Kernels.Training;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>One layer's MLP: from the residual stream to the residual stream, and back.</summary>
internal sealed unsafe class MlpPass : IDisposable
{
    private readonly bool _isRelu;
    private readonly NormMap _norm;
    private readonly LinearMap _in, _out;
    private readonly KeptChannels _keptRead, _keptNeurons, _keptAdded;
    private readonly Matrix _read, _before, _neurons;

    public MlpPass(TransformerConfig config, BlockWeights block, Gradients gradients, int tokens)
    {
        _isRelu = config.Activation == ActivationFunction.Relu;
        _norm = new NormMap(block.Ln2, gradients, tokens, config.NormEpsilon);
        _in = new LinearMap(block.Mlp.In.Weight, block.Mlp.In.Bias, gradients);
        _out = new LinearMap(block.Mlp.Out.Weight, block.Mlp.Out.Bias, gradients);
        _keptRead = new KeptChannels(config, AbsTopKSites.MlpIn, tokens, config.DModel);
        _keptNeurons = new KeptChannels(config, AbsTopKSites.MlpNeuron, tokens, config.DMlp);
        _keptAdded = new KeptChannels(config, AbsTopKSites.MlpOut, tokens, config.DModel);
        (_read, _before, _neurons) = (new Matrix(tokens, config.DModel), new Matrix(tokens, config.DMlp), new Matrix(tokens, config.DMlp));
    }

    /// <summary>Bytes of activations.</summary>
    public long SizeBytes => _read.SizeBytes + _before.SizeBytes + _neurons.SizeBytes;

    /// <summary>The weights have changed.</summary>
    public void Refresh(int tokens)
    {
        _in.Refresh(tokens);
        _out.Refresh(tokens);
    }

    /// <summary>y = x + MLP(x).</summary>
    public void Forward(Matrix x, Matrix y)
    {
        _norm.Forward(x, _read);
        _keptRead.Select(_read.Data);
        _in.Forward(_read, _before);
        if (_isRelu) RowKernels.Relu(_before.Data, _neurons.Data, _before.Count);
        else RowKernels.Gelu(_before.Data, _neurons.Data, _before.Count);
        _keptNeurons.Select(_neurons.Data);
        _out.Forward(_neurons, y);
        _keptAdded.Select(y.Data);
        RowKernels.Add(x.Data, y.Data, y.Data, x.Count);
    }

    /// <summary>The residual's gradient after the sublayer becomes that before it.</summary>
    public void Backward(Matrix x, SharedGradients shared)
    {
        _keptAdded.Mask(shared.Residual.Data, shared.Added.Data);
        _out.ParameterGradients(shared.Added, _neurons);
        _out.InputGradient(shared.Added, shared.Neurons);
        _keptNeurons.Mask(shared.Neurons.Data);
        if (_isRelu) RowKernels.ReluBackward(_before.Data, shared.Neurons.Data, _before.Count);
        else RowKernels.GeluBackward(_before.Data, shared.Neurons.Data, _before.Count);
        _in.ParameterGradients(shared.Neurons, _read);
        _in.InputGradient(shared.Neurons, shared.Read);
        _keptRead.Mask(shared.Read.Data);
        _norm.Backward(x, shared.Read, shared.Residual);
    }

    public void Dispose()
    {
        foreach (IDisposable part in new IDisposable[] { _norm, _in, _out, _keptRead, _keptNeurons, _keptAdded, _read, _before, _neurons }) part.Dispose();
    }
}
