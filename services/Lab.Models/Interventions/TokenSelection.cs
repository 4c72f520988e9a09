namespace Lab.Models.Interventions;

/// <summary>The tokens of a pass that a selector picks. The same for every hook that the selector matches.</summary>
internal sealed class TokenSelection
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly int _length;
    private readonly IReadOnlyList<int[]>? _indices;
    private readonly IReadOnlyList<int[]>? _places;
    private readonly bool _hasAllRows;

    // Asked for at every hook of a selector.
    private (long[] Tokens, long[] Places)? _present;
    private bool? _hasDuplicates;
    private TokenSelection? _distinct;

    /// <param name="lengths">Tokens in each row of the pass.</param>
    /// <param name="rows">The rows, checked; null for all.</param>
    /// <param name="indices">For each of the rows which of its tokens in the pass; null for all.</param>
    /// <param name="places">For each of the tokens its place in values by position; null for its place among the row's selected tokens.</param>
    /// <param name="placeCount">The number of places; by default that of the row with the most tokens.</param>
    public TokenSelection(
        IReadOnlyList<int> lengths, IReadOnlyList<int>? rows, IReadOnlyList<int[]>? indices = null, IReadOnlyList<int[]>? places = null, int? placeCount = null)
    {
        (_lengths, _indices, _places, _hasAllRows) = (lengths, indices, places, rows is null);
        _length = lengths.Max();
        Rows = rows ?? [.. Enumerable.Range(0, lengths.Count)];
        PositionCount = indices is null ? _length : indices.Max(row => row.Length);
        PlaceCount = placeCount ?? PositionCount;
        PresentCount = Enumerable.Range(0, Rows.Count).Sum(CountOf);
    }

    /// <summary>Tokens before those of the pass, in each row.</summary>
    public int Past { get; init; }

    /// <summary>The number of the batch's first row: see <see cref="TokenBatch.FirstRow"/>.</summary>
    public long FirstRow { get; init; }

    /// <summary>The selected rows.</summary>
    public IReadOnlyList<int> Rows { get; }

    /// <summary>Selected tokens in the row that has most of them; the longest row's where all are selected.</summary>
    public int PositionCount { get; }

    /// <summary>Places that values by position have.</summary>
    public int PlaceCount { get; }

    /// <summary>Whether it is all rows and positions in order, padding included.</summary>
    public bool IsWhole => _hasAllRows && _indices is null;

    /// <summary>Whether it is not simply all of each row.</summary>
    public bool NamesPositions => _indices is not null;

    /// <summary>Selected tokens of all rows.</summary>
    public int PresentCount { get; }

    /// <summary>Whether every row has <see cref="PositionCount"/> tokens.</summary>
    public bool IsComplete => PresentCount == Rows.Count * PositionCount;

    /// <summary>Whether some selected row is shorter than the pass's longest.</summary>
    public bool IsRagged => Rows.Any(row => _lengths[row] < _length);

    /// <summary>Tokens in the longest row of the pass.</summary>
    public int Length => _length;

    /// <summary>Selected tokens of a selected row.</summary>
    public int CountOf(int rowIndex) => _indices is null ? _lengths[Rows[rowIndex]] : _indices[rowIndex].Length;

    /// <summary>A selected token's position in its row.</summary>
    public int PositionAt(int rowIndex, int tokenIndex) => Past + IndexAt(rowIndex, tokenIndex);

    /// <summary>The tokens that a selected row has once the pass is over.</summary>
    public int LengthOf(int rowIndex) => Past + _lengths[Rows[rowIndex]];

    /// <summary>Indices into the pass flattened to [rows x pos], each row filled up to <see cref="PositionCount"/> with others of its tokens or padding.</summary>
    public long[] AllTokens()
    {
        long[] flat = new long[Rows.Count * PositionCount];
        for (int i = 0; i < Rows.Count; i++)
        {
            for (int j = 0; j < PositionCount; j++)
                flat[(i * PositionCount) + j] = ((long)Rows[i] * _length) + (_indices is null ? j : j < _indices[i].Length ? _indices[i][j] : 0);
        }

        return flat;
    }

    /// <summary>Indices into the pass flattened to [rows x pos], and the tokens' places in values of [rows, places].</summary>
    public (long[] Tokens, long[] Places) PresentTokens() => _present ??= FindPresent();

    private (long[] Tokens, long[] Places) FindPresent()
    {
        long[] tokens = new long[PresentCount], places = new long[PresentCount];
        int next = 0;
        for (int i = 0; i < Rows.Count; i++)
        {
            for (int j = 0; j < CountOf(i); j++)
            {
                tokens[next] = ((long)Rows[i] * _length) + IndexAt(i, j);
                places[next++] = ((long)i * PlaceCount) + (_places?[i][j] ?? j);
            }
        }

        return (tokens, places);
    }

    /// <summary>Whether the places of values are the selected tokens one by one.</summary>
    public bool IsInPlace => IsComplete && PlaceCount == PositionCount;

    /// <summary>Whether some token is selected more than once.</summary>
    public bool HasDuplicates() => _hasDuplicates ??=
        !(_indices is null && _hasAllRows) && PresentTokens().Tokens.Distinct().Count() != PresentCount;

    /// <summary>Each token once.</summary>
    public TokenSelection Distinct() => _distinct ??= HasDuplicates() ? WithoutDuplicates() : this;

    private TokenSelection WithoutDuplicates()
    {
        int[] rows = [.. Rows.Distinct()];
        int[] all = [.. Rows], first = [.. rows.Select(row => Array.IndexOf(all, row))];
        return new TokenSelection(_lengths, rows, _indices is null ? null : [.. first.Select(i => _indices[i].Distinct().ToArray())]) { Past = Past, FirstRow = FirstRow };
    }

    private int IndexAt(int rowIndex, int tokenIndex) => _indices is null ? tokenIndex : _indices[rowIndex][tokenIndex];
}
