using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>Which axis of a [out, in] weight matrix belongs to a neuron or attention channel.</summary>
public enum NeuronAxis
{
    /// <summary>The matrix has no neurons of its own (embeddings): no floor.</summary>
    None,

    /// <summary>One neuron a row (matrices that read into neurons: c_attn, c_fc).</summary>
    Rows,

    /// <summary>One neuron a column (matrices that write from neurons: c_proj).</summary>
    Columns,
}

/// <summary>
/// The projection of a weight matrix on those with at most k nonzero entries: the k largest magnitudes stay, all others
/// become zero, and each neuron keeps its <c>minPerNeuron</c> largest whatever their rank (Gao et al. 2025, section 2.1 and
/// appendix A.2). Exactly k entries are kept; ties go to the lowest index.
/// </summary>
public static unsafe class SparseProjection
{
    /// <summary>Projects <paramref name="weight"/> in place. A tensor off the CPU takes torch operations.</summary>
    /// <param name="weight">[out, in] or [n], FP32, contiguous.</param>
    /// <param name="k">Entries to keep, at least the number that the floor protects; 0 keeps none.</param>
    /// <param name="axis">Where the neurons are.</param>
    /// <param name="minPerNeuron">Entries that each neuron keeps; 0 for no floor.</param>
    /// <exception cref="ArithmeticException">An entry is NaN or infinite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">k is less than the floor, or a number is negative.</exception>
    public static void Apply(Tensor weight, long k, NeuronAxis axis = NeuronAxis.None, int minPerNeuron = 0) =>
        Apply("the matrix", weight, new Projection(k, axis, minPerNeuron));

    /// <summary>Projects <paramref name="weight"/> in place.</summary>
    /// <param name="name">Names the matrix in errors.</param>
    /// <param name="weight">[out, in] or [n], FP32, contiguous. A tensor off the CPU takes torch operations.</param>
    /// <param name="projection">What stays.</param>
    /// <exception cref="ArithmeticException">An entry is NaN or infinite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The projection keeps fewer entries than its floor, or a number is negative.</exception>
    public static void Apply(string name, Tensor weight, Projection projection)
    {
        (long rows, long columns) = Shape(weight);
        projection.Require(rows, columns);
        if (projection.Kept >= rows * columns) return;
        if (HostMemory.IsAddressable(weight)) MatrixUpdate.Run(name, new WeightMatrix(HostMemory.Address(weight), rows, columns, projection), default, 1);
        else ApplyWithTorch(name, weight, projection);
        HostMemory.KeepAlive(weight);
    }

    /// <summary>Rows and columns; the entries of one dimension count as rows of one.</summary>
    internal static (long Rows, long Columns) Shape(Tensor weight)
    {
        long rows = weight.dim() == 0 ? 1 : weight.size(0);
        return (rows, weight.numel() / Math.Max(1, rows));
    }

    internal static ArithmeticException NotFinite(string name, long index, float value) =>
        new($"A projection needs finite values: entry {index} of {name} is {value}.");

    private static void ApplyWithTorch(string name, Tensor weight, Projection projection)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor finite = weight.isfinite().flatten();
        if (!finite.all().item<bool>())
        {
            long index = finite.to(ScalarType.Int32).argmin().item<long>();
            throw NotFinite(name, index, weight.flatten()[index].to(ScalarType.Float32).item<float>());
        }

        Tensor scores = weight.abs();
        if (projection.MinPerNeuron > 0 && projection.Axis != NeuronAxis.None)
        {
            int dimension = projection.Axis == NeuronAxis.Rows ? 1 : 0;
            long floor = Math.Min(projection.MinPerNeuron, weight.shape[dimension]);
            Tensor protectedEntries = Order(scores, dimension).narrow(dimension, 0, floor);
            scores = scores.scatter(dimension, protectedEntries, full_like(protectedEntries, float.PositiveInfinity, scores.dtype));
        }

        Tensor indices = Order(scores.flatten(), 0).narrow(0, 0, projection.Kept);
        Tensor mask = zeros_like(scores).flatten().index_fill_(0, indices, 1f).view(weight.shape);
        weight.mul_(mask);
    }

    /// <summary>A stable sort, unlike topk, says which of equal magnitudes come first.</summary>
    private static Tensor Order(Tensor scores, long dimension) => scores.sort(dimension, descending: true, stable: true).Indices;
}
