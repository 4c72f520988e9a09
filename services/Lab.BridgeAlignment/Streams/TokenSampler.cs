using Lab.Models.Corpora;

namespace Lab.BridgeAlignment.Streams;

/// <summary>Reads tokens of a split from an offset, <see cref="TokenSplit.Read"/> for instance.</summary>
internal delegate void TokenReader(long offset, Span<long> destination);

/// <summary>Cuts sequences out of a split of a corpus.</summary>
/// <param name="length">Tokens in the split.</param>
/// <param name="read">Reads them.</param>
internal sealed class TokenSampler(long length, TokenReader read)
{
    /// <summary>The batch of a step: a pure function of (seed, step), so that a run that was interrupted goes on with the very batches it would have had.</summary>
    public TokenBatch Draw(long seed, long step, int rows, int rowLength)
    {
        SeededRandom random = new(seed, step);
        return Cut(rows, rowLength, _ => (long)Math.BigMul(random.NextBits(), (ulong)(length - rowLength + 1), out ulong _));
    }

    /// <summary>Evenly spaced sequences over the whole split, the same every time.</summary>
    public TokenBatch Spread(int rows, int rowLength) =>
        Cut(rows, rowLength, row => rows == 1 ? 0 : (long)((Int128)(length - rowLength) * row / (rows - 1)));

    private TokenBatch Cut(int rows, int rowLength, Func<int, long> offset)
    {
        long[] ids = new long[rows * rowLength];
        for (int row = 0; row < rows; row++) read(offset(row), ids.AsSpan(row * rowLength, rowLength));
        return new TokenBatch(ids, rows, rowLength);
    }
}
