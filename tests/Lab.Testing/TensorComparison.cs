using TorchSharp;

namespace Lab.Testing;

/// <summary>Comparisons of tensors.</summary>
public static class TensorComparison
{
    /// <summary>Whether both have one shape and equal elements.</summary>
    public static bool HasSameElements(this torch.Tensor tensor, torch.Tensor other)
    {
        using var scope = torch.NewDisposeScope();
        return tensor.shape.SequenceEqual(other.shape) && tensor.eq(other).all().item<bool>();
    }
}
