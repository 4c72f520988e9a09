using Lab.Models;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>The gradients of all parameters that are trained, in memory that is kept for all steps.</summary>
internal sealed unsafe class Gradients : IDisposable
{
    private readonly Dictionary<string, Tensor> _byName;
    private readonly NamedParameter[] _weights;

    public Gradients(TransformerWeights weights)
    {
        _weights = [.. weights.Trained];
        _byName = _weights.ToDictionary(parameter => parameter.Name, parameter => zeros_like(parameter.Value).DetachFromDisposeScope());
    }

    /// <summary>Whether the parameter is trained.</summary>
    public bool Has(NamedParameter parameter) => _byName.ContainsKey(parameter.Name);

    /// <summary>The gradient of a parameter that is trained, of its shape.</summary>
    public Tensor Of(NamedParameter parameter) => _byName[parameter.Name];

    /// <summary>The gradient's first entry.</summary>
    public float* Address(NamedParameter parameter) => HostMemory.Address(Of(parameter));

    /// <summary>Makes them the parameters' gradients, where the optimizer looks for them.</summary>
    public void Publish()
    {
        foreach (NamedParameter parameter in _weights)
        {
            if (parameter.Value.requires_grad) parameter.Value.grad = Of(parameter);
        }
    }

    public void Dispose()
    {
        foreach (Tensor gradient in _byName.Values) gradient.Dispose();
    }
}
