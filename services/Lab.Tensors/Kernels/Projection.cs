namespace Lab.Tensors.Kernels;

/// <summary>What the projection of a weight matrix keeps.</summary>
/// <param name="Kept">Entries to keep; the number of entries or more keeps all.</param>
/// <param name="Axis">Where the neurons are.</param>
/// <param name="MinPerNeuron">Entries that each neuron keeps whatever their rank; 0 for no floor.</param>
public readonly record struct Projection(long Kept, NeuronAxis Axis = NeuronAxis.None, int MinPerNeuron = 0)
{
    /// <summary>Checks that the budget covers the floor, and that neither is negative.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not, or one is.</exception>
    internal void Require(long rows, long columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(MinPerNeuron);
        if (Kept >= rows * columns) return;
        long floor = Axis switch { NeuronAxis.Rows => rows * Math.Min(MinPerNeuron, columns), NeuronAxis.Columns => columns * Math.Min(MinPerNeuron, rows), _ => 0 };
        if (Kept >= floor && Kept >= 0) return;
        throw new ArgumentOutOfRangeException(nameof(Kept), Kept, $"A matrix of {rows} x {columns} that keeps {MinPerNeuron} entries for each neuron needs at least {floor} entries.");
    }
}
