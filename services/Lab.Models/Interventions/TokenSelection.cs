namespace Lab.Models.Interventions;

/// <summary>The tokens of a batch that a selector picks: rows x positions. The same for every hook that the selector matches.</summary>
internal sealed class TokenSelection
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly int _length;
    private readonly IReadOnlyList<int>? _positions;

    /// <param name="lengths">Tokens in each row of the batch.</param>
    /// <param name="rows">The rows, checked; null for all.</param>
    /// <param name="positions">The positions, checked; null for all.</param>
    public TokenSelection(IReadOnlyList<int> lengths, IReadOnlyList<int>? rows, IReadOnlyList<int>? positions)
    {
        _lengths = lengths;
        _length = lengths.Max();
        _positions = positions;
        IsWhole = rows is null && positions is null;
        Rows = rows ?? [.. Enumerable.Range(0, lengths.Count)];
        PositionCount = positions?.Count ?? _length;
        PresentCount = positions is null ? Rows.Sum(row => lengths[row])
            : positions.Max() < Rows.Min(row => lengths[row]) ? Rows.Count * PositionCount
            : Enumerable.Range(0, Rows.Count).Sum(row => Enumerable.Range(0, PositionCount).Count(position => IsPresent(row, position)));
    }

    /// <summary>The selected rows.</summary>
    public IReadOnlyList<int> Rows { get; }

    /// <summary>Positions in each row, those that a row does not have included.</summary>
    public int PositionCount { get; }

    /// <summary>Whether it is all rows and positions in order, padding included.</summary>
    public bool IsWhole { get; }

    /// <summary>Tokens that exist: rows x positions less the padding.</summary>
    public int PresentCount { get; }

    /// <summary>Whether every one of rows x positions exists.</summary>
    public bool IsComplete => PresentCount == Rows.Count * PositionCount;

    /// <summary>The position in the row that a place of the selection stands for.</summary>
    public int PositionAt(int rowIndex, int positionIndex)
    {
        int position = _positions is null ? positionIndex : _positions[positionIndex];
        return position < 0 ? position + _lengths[Rows[rowIndex]] : position;
    }

    /// <summary>Whether the row has a token there. It has none in padding, or at a position that generation has not reached.</summary>
    public bool IsPresent(int rowIndex, int positionIndex) => (uint)PositionAt(rowIndex, positionIndex) < (uint)_lengths[Rows[rowIndex]];

    /// <summary>The number of tokens in a selected row.</summary>
    public int LengthOf(int rowIndex) => _lengths[Rows[rowIndex]];

    /// <summary>Whether some selected row is shorter than the batch's longest.</summary>
    public bool IsRagged => Rows.Any(row => _lengths[row] < _length);

    /// <summary>Indices into the batch flattened to [batch x pos], of all places; those of padding point into the padding.</summary>
    public long[] AllTokens()
    {
        long[] flat = new long[Rows.Count * PositionCount];
        for (int i = 0; i < Rows.Count; i++)
        {
            for (int j = 0; j < PositionCount; j++) flat[(i * PositionCount) + j] = ((long)Rows[i] * _length) + PositionAt(i, j);
        }

        return flat;
    }

    /// <summary>Indices into the batch flattened to [batch x pos] of the tokens that exist, and their places in the selection.</summary>
    public (long[] Tokens, long[] Places) PresentTokens()
    {
        long[] tokens = new long[PresentCount], places = new long[PresentCount];
        int next = 0;
        for (int i = 0; i < Rows.Count; i++)
        {
            for (int j = 0; j < PositionCount; j++)
            {
                if (!IsPresent(i, j)) continue;
                tokens[next] = ((long)Rows[i] * _length) + PositionAt(i, j);
                places[next++] = ((long)i * PositionCount) + j;
            }
        }

        return (tokens, places);
    }

    /// <summary>Whether some token is selected more than once.</summary>
    public bool HasDuplicates()
    {
        long[] tokens = PresentTokens().Tokens;
        return tokens.Distinct().Count() != tokens.Length;
    }
}
