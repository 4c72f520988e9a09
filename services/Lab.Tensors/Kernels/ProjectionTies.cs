using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// Which of equal magnitudes stay, where a bound would keep too many: those of the lowest flat index. Runs before anything
/// is erased, and zeroes the entries that must go.
/// </summary>
internal static unsafe class ProjectionTies
{
    private const int Unknown = -1;

    /// <param name="matrix">The matrix, updated and not yet erased.</param>
    /// <param name="threshold">The bound of unprotected entries.</param>
    /// <param name="surplus">How many of the unprotected entries at the threshold must go.</param>
    /// <param name="largest">The floor and one more of each neuron's largest, level by level.</param>
    /// <param name="spare">Room for one number a neuron.</param>
    public static void Drop(WeightMatrix matrix, int threshold, long surplus, int* largest, int* spare)
    {
        for (int neuron = 0; neuron < matrix.Neurons; neuron++)
        {
            int last = largest[(long)(matrix.Floor - 1) * matrix.Neurons + neuron];
            int next = largest[(long)matrix.Floor * matrix.Neurons + neuron];
            if (last == next && last > 0 && last < threshold) DropOfNeuron(matrix, neuron, last, matrix.Floor - Above(matrix, largest, neuron, last));
        }

        // At a threshold of zero, what ties is zero already.
        if (surplus <= 0 || threshold == 0) return;
        new Span<int>(spare, matrix.Neurons).Fill(Unknown);
        for (int row = matrix.Rows - 1; row >= 0 && surplus > 0; row--)
        {
            ReadOnlySpan<int> entries = new(matrix.Row(row), matrix.Entries(row, row + 1));
            while (surplus > 0)
            {
                int column = entries.LastIndexOfAny(threshold, threshold | int.MinValue);
                if (column < 0) break;
                entries = entries[..column];
                long index = (long)row * matrix.Columns + column;
                if (matrix.Neurons > 0 && !TakeUnprotected(matrix, matrix.Neuron(index), threshold, largest, spare)) continue;
                matrix.Values[index] = 0;
                surplus--;
            }
        }
    }

    /// <summary>Whether the last of a neuron's ties that are left is unprotected; it then counts as gone.</summary>
    private static bool TakeUnprotected(WeightMatrix matrix, int neuron, int threshold, int* largest, int* unprotected)
    {
        if (unprotected[neuron] == Unknown)
        {
            // The floor covers the first of the ties, after all that is larger.
            int covered = Math.Max(0, matrix.Floor - Above(matrix, largest, neuron, threshold));
            unprotected[neuron] = Math.Max(0, CountTies(matrix, neuron, threshold) - covered);
        }

        if (unprotected[neuron] == 0) return false;
        unprotected[neuron]--;
        return true;
    }

    /// <summary>How many of the neuron's protected entries are larger.</summary>
    private static int Above(WeightMatrix matrix, int* largest, int neuron, int magnitude)
    {
        int above = 0;
        while (above < matrix.Floor && largest[(long)above * matrix.Neurons + neuron] > magnitude) above++;
        return above;
    }

    private static int CountTies(WeightMatrix matrix, int neuron, int magnitude)
    {
        float* first = FirstOf(matrix, neuron);
        (int entries, int stride) = matrix.Axis == NeuronAxis.Rows ? (matrix.Columns, 1) : (matrix.Rows, matrix.Columns);
        int ties = 0;
        for (int i = 0; i < entries; i++) ties += Lanes1.Magnitude(first[(long)i * stride]) == magnitude ? 1 : 0;
        return ties;
    }

    private static void DropOfNeuron(WeightMatrix matrix, int neuron, int magnitude, int allowed)
    {
        float* first = FirstOf(matrix, neuron);
        (int entries, int stride) = matrix.Axis == NeuronAxis.Rows ? (matrix.Columns, 1) : (matrix.Rows, matrix.Columns);
        for (int i = 0; i < entries; i++)
        {
            float* entry = first + (long)i * stride;
            if (Lanes1.Magnitude(*entry) == magnitude && allowed-- <= 0) *entry = 0;
        }
    }

    private static float* FirstOf(WeightMatrix matrix, int neuron) => matrix.Axis == NeuronAxis.Rows ? matrix.Row(neuron) : matrix.Values + neuron;
}
