using System.Buffers;
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
    private const uint Protected = 0x7FFFFFFF;

    /// <summary>Projects <paramref name="weight"/> in place. A tensor off the CPU takes torch operations.</summary>
    /// <param name="weight">[out, in] or [n], FP32, contiguous.</param>
    /// <param name="k">Entries to keep, at least the number that the floor protects.</param>
    /// <param name="axis">Where the neurons are.</param>
    /// <param name="minPerNeuron">Entries that each neuron keeps; 0 for no floor.</param>
    public static void Apply(Tensor weight, long k, NeuronAxis axis = NeuronAxis.None, int minPerNeuron = 0)
    {
        long count = weight.numel();
        if (k >= count) return;
        int rows = (int)weight.shape[0];
        int columns = (int)(count / rows);
        long floor = axis switch { NeuronAxis.Rows => rows, NeuronAxis.Columns => columns, _ => 0 } * (long)minPerNeuron;
        if (k < Math.Max(1, floor))
        {
            throw new ArgumentOutOfRangeException(nameof(k), k, $"A matrix of {rows} x {columns} that keeps {minPerNeuron} entries for each neuron needs at least {Math.Max(1, floor)} entries.");
        }

        if (HostMemory.IsAddressable(weight)) ApplyOnHost(weight, (int)k, rows, columns, axis, minPerNeuron);
        else ApplyWithTorch(weight, k, axis, minPerNeuron);
    }

    private static void ApplyOnHost(Tensor weight, int k, int rows, int columns, NeuronAxis axis, int minPerNeuron)
    {
        int count = rows * columns;
        float* values = HostMemory.Address(weight);
        uint[] buffer = ArrayPool<uint>.Shared.Rent(count);
        fixed (uint* scores = buffer)
        {
            MagnitudeSelect.Magnitudes(values, scores, count);
            if (minPerNeuron > 0 && axis == NeuronAxis.Rows) Protect(scores, rows, columns, columns, 1, minPerNeuron);
            if (minPerNeuron > 0 && axis == NeuronAxis.Columns) Protect(scores, columns, rows, 1, columns, minPerNeuron);

            uint threshold = MagnitudeSelect.Threshold(scores, count, k);
            int kept = 0;
            for (int i = 0; i < count; i++) kept += scores[i] > threshold ? 1 : 0;
            int ties = k - kept;
            for (int i = 0; i < count; i++)
            {
                bool keep = scores[i] > threshold || (scores[i] == threshold && ties-- > 0);
                if (!keep) values[i] = 0;
            }
        }

        ArrayPool<uint>.Shared.Return(buffer);
    }

    /// <summary>Gives the largest entries of each neuron a score above every other.</summary>
    private static void Protect(uint* scores, int neurons, int entries, int neuronStride, int entryStride, int floor)
    {
        floor = Math.Min(floor, entries);
        Span<int> best = stackalloc int[floor];
        for (int neuron = 0; neuron < neurons; neuron++)
        {
            uint* first = scores + (long)neuron * neuronStride;
            int found = 0;
            for (int entry = 0; entry < entries; entry++)
            {
                uint score = first[(long)entry * entryStride];
                if (found == floor && score <= first[(long)best[found - 1] * entryStride]) continue;
                int place = found < floor ? found++ : floor - 1;
                while (place > 0 && first[(long)best[place - 1] * entryStride] < score)
                {
                    best[place] = best[place - 1];
                    place--;
                }

                best[place] = entry;
            }

            foreach (int entry in best) first[(long)entry * entryStride] = Protected;
        }
    }

    private static void ApplyWithTorch(Tensor weight, long k, NeuronAxis axis, int minPerNeuron)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor scores = weight.abs();
        if (minPerNeuron > 0 && axis != NeuronAxis.None)
        {
            int dimension = axis == NeuronAxis.Rows ? 1 : 0;
            long floor = Math.Min(minPerNeuron, weight.shape[dimension]);
            (_, Tensor protectedEntries) = scores.topk((int)floor, dimension);
            scores = scores.scatter(dimension, protectedEntries, full_like(protectedEntries, float.PositiveInfinity, scores.dtype));
        }

        (_, Tensor indices) = scores.flatten().topk((int)k, 0, largest: true, sorted: false);
        Tensor mask = zeros_like(scores).flatten().index_fill_(0, indices, 1f).view(weight.shape);
        weight.mul_(mask);
    }
}
