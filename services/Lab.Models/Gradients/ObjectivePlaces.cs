using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>The tokens whose predictions an objective reads: each has a row, and a weight in the row's value.</summary>
internal sealed class ObjectivePlaces
{
    private readonly long[] _rows;
    private readonly double[] _weights;
    private readonly long[] _indices;
    private readonly int _rowCount;

    /// <param name="places">Tokens as row and position, with repetition.</param>
    /// <param name="rowCount">Rows of the batch.</param>
    /// <param name="length">Positions of the batch, padding included.</param>
    /// <param name="reduction">How the places of a row are put together.</param>
    public ObjectivePlaces(IReadOnlyList<(int Row, int Position)> places, int rowCount, int length, Reduction reduction)
    {
        _rowCount = rowCount;
        _rows = [.. places.Select(place => (long)place.Row)];
        ILookup<int, int> byRow = places.ToLookup(place => place.Row, place => place.Position);
        _weights = [.. places.Select(place => reduction == Reduction.Mean ? 1.0 / byRow[place.Row].Count() : 1.0)];
        long[] flat = [.. places.Select(place => ((long)place.Row * length) + place.Position)];
        Tokens = [.. flat.Distinct().Order()];
        Dictionary<long, long> indexOf = Tokens.Select((token, index) => (token, index)).ToDictionary(pair => pair.token, pair => (long)pair.index);
        _indices = [.. flat.Select(token => indexOf[token])];
    }

    /// <summary>Indices into the batch flattened to [rows x pos], ascending, each once.</summary>
    public IReadOnlyList<long> Tokens { get; }

    /// <summary>From one row a token to one row a place.</summary>
    /// <param name="tokens">[tokens, ...].</param>
    public Tensor AtPlaces(Tensor tokens)
    {
        bool isSame = _indices.Length == Tokens.Count && _indices.Select((index, i) => index == i).All(same => same);
        return isSame ? tokens : tokens.index_select(0, tensor(_indices, device: tokens.device));
    }

    /// <summary>The rows' values.</summary>
    /// <param name="values">[places].</param>
    /// <returns>[rows].</returns>
    public Tensor ByRow(Tensor values) =>
        zeros(_rowCount, dtype: values.dtype, device: values.device)
            .index_add(0, tensor(_rows, device: values.device), values * tensor(_weights, dtype: values.dtype, device: values.device), 1);
}
