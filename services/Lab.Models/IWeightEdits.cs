using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>Changes to parameters for one pass. The shared model is not touched: the pass adds what the change would give.</summary>
public interface IWeightEdits
{
    /// <summary>Whether a parameter of this name is changed at all. Asked at every use.</summary>
    bool Touches(string parameter);

    /// <summary>Adds a matrix's change times what it read.</summary>
    /// <param name="parameter">The matrix.</param>
    /// <param name="x">What it reads: [rows, pos, in].</param>
    /// <param name="y">What it gave: [rows, pos, out].</param>
    Tensor Linear(string parameter, Tensor x, Tensor y);

    /// <summary>Adds a vector's change: a bias's, or a gain's times what it multiplies.</summary>
    /// <param name="parameter">The vector, [channels].</param>
    /// <param name="factor">What a gain multiplies, [rows, pos, channels]; null for a bias.</param>
    /// <param name="y">[rows, pos, channels].</param>
    Tensor Vector(string parameter, Tensor? factor, Tensor y);

    /// <summary>Adds a table's change at the rows that were looked up.</summary>
    /// <param name="parameter">The table, [entries, channels].</param>
    /// <param name="ids">[rows, pos]: the entries.</param>
    /// <param name="y">[rows, pos, channels].</param>
    Tensor Lookup(string parameter, Tensor ids, Tensor y);
}
