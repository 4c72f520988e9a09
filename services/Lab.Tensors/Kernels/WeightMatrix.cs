namespace Lab.Tensors.Kernels;

/// <summary>A weight matrix in memory, and what its projection keeps.</summary>
internal readonly unsafe struct WeightMatrix
{
    /// <summary>The width given to what has no rows of its own.</summary>
    private const int FlatColumns = 4096;

    /// <param name="values">[rows, columns], contiguous.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="projection">What stays.</param>
    public WeightMatrix(float* values, long rows, long columns, Projection projection)
    {
        Values = values;
        Count = rows * columns;
        Kept = projection.Kept;
        Axis = projection.MinPerNeuron == 0 ? NeuronAxis.None : projection.Axis;
        (Rows, Columns) = Axis == NeuronAxis.None ? ((int)((Count + FlatColumns - 1) / FlatColumns), FlatColumns) : ((int)rows, (int)columns);
        Floor = Axis == NeuronAxis.None ? 0 : (int)Math.Min(projection.MinPerNeuron, Axis == NeuronAxis.Rows ? columns : rows);
    }

    public float* Values { get; }

    public long Count { get; }

    /// <summary>Entries to keep.</summary>
    public long Kept { get; }

    public bool KeepsAll => Kept >= Count;

    public NeuronAxis Axis { get; }

    /// <summary>Rows; where there are no neurons, runs of <see cref="Columns"/> entries, the last of them shorter.</summary>
    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Entries that each neuron keeps whatever their rank.</summary>
    public int Floor { get; }

    public int Neurons => Axis switch { NeuronAxis.Rows => Rows, NeuronAxis.Columns => Columns, _ => 0 };

    /// <summary>Entries of the rows from one up to another.</summary>
    public int Entries(int from, int to) => (int)(Math.Min(Count, (long)to * Columns) - (long)from * Columns);

    public float* Row(int row) => Values + (long)row * Columns;

    /// <summary>The neuron of an entry.</summary>
    public int Neuron(long index) => (int)(Axis == NeuronAxis.Rows ? index / Columns : index % Columns);
}
