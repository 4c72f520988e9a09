using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>
/// Parameters of a shared model as leaves of a graph, until disposed. Their gradients, which the backward pass leaves in
/// them, are taken away then, so that nothing of a request stays in the model.
/// </summary>
internal sealed class ParameterLeaves : IDisposable
{
    private readonly IReadOnlyList<Tensor> _tensors;

    /// <param name="weights">The model's.</param>
    /// <param name="names">Some of its parameters.</param>
    public ParameterLeaves(TransformerWeights weights, IReadOnlySet<string> names)
    {
        Values = weights.All.Where(parameter => names.Contains(parameter.Name)).ToDictionary(parameter => parameter.Name, parameter => parameter.Value);
        _tensors = [.. Values.Values];
        foreach (Tensor tensor in _tensors) tensor.requires_grad = true;
    }

    /// <summary>The parameters by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Values { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in _tensors)
        {
            tensor.grad = null;
            tensor.requires_grad = false;
        }
    }
}
