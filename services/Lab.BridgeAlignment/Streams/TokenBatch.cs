namespace Lab.BridgeAlignment.Streams;

/// <summary>Sequences of tokens, all of one length.</summary>
/// <param name="Ids">The tokens, row by row: rows x length.</param>
/// <param name="Rows">Sequences.</param>
/// <param name="Length">Tokens of each.</param>
internal sealed record TokenBatch(long[] Ids, int Rows, int Length)
{
    /// <summary>Some of the rows.</summary>
    public TokenBatch Slice(int first, int count) => new(Ids[(first * Length)..((first + count) * Length)], count, Length);

    /// <summary>The tokens of one row.</summary>
    public ReadOnlySpan<long> Row(int row) => Ids.AsSpan(row * Length, Length);
}
