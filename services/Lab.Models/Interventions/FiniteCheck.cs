using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>Refuses NaN and infinities in what leaves a model.</summary>
public static class FiniteCheck
{
    /// <summary>Copies a tensor into host memory and requires that every element of the copy is finite.</summary>
    /// <param name="tensor">The tensor; neither changed nor disposed.</param>
    /// <param name="name">The name that the copy gets.</param>
    /// <param name="type">The type of the copy; by default that of the tensor.</param>
    /// <exception cref="NonFiniteActivationException">An element is not; the message names tensor and index.</exception>
    public static HostTensor ToFiniteHost(this Tensor tensor, string name, TensorDataType? type = null)
    {
        HostTensor copy = tensor.ToHost(name, type, out long nonFinite);
        return nonFinite < 0 ? copy : throw Failure(copy, nonFinite);
    }

    /// <summary>Requires that every element is finite.</summary>
    /// <param name="tensor">FP64, FP32, FP16 or BF16.</param>
    /// <exception cref="NonFiniteActivationException">An element is not; the message names tensor and index.</exception>
    public static void Require(HostTensor tensor)
    {
        long bad = NonFinite.Find(tensor.Data.Span, tensor.DataType);
        if (bad >= 0) throw Failure(tensor, bad);
    }

    private static NonFiniteActivationException Failure(HostTensor tensor, long element)
    {
        long[] index = new long[tensor.Shape.Length];
        long rest = element;
        for (int dimension = index.Length - 1; dimension >= 0; dimension--) (rest, index[dimension]) = Math.DivRem(rest, tensor.Shape[dimension]);
        return new NonFiniteActivationException(tensor.Name, $"element {TensorShape.Format(index)} as {tensor.DataType}");
    }
}
