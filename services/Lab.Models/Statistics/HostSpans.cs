namespace Lab.Models.Statistics;

/// <summary>Loops over spans on several threads: each call ends when all of them have, so that the spans outlive their use.</summary>
internal static unsafe class HostSpans
{
    /// <summary>A part of a loop.</summary>
    /// <param name="values">The first span.</param>
    /// <param name="tokens">The second one.</param>
    /// <param name="from">The first index.</param>
    /// <param name="to">The index after the last.</param>
    /// <param name="part">The part's number, from 0.</param>
    public delegate void Body(ReadOnlySpan<float> values, ReadOnlySpan<TokenOrigin> tokens, int from, int to, int part);

    /// <summary>Runs <paramref name="body"/> over [0, count) in equal contiguous parts, each on a thread; a single one on the caller's.</summary>
    public static void For(ReadOnlySpan<float> values, ReadOnlySpan<TokenOrigin> tokens, int count, int parts, Body body)
    {
        if (parts <= 1)
        {
            body(values, tokens, 0, count, 0);
            return;
        }

        // Lambdas cannot hold spans; what they point at is pinned until the loop has ended.
        fixed (float* value = values)
        {
            fixed (TokenOrigin* token = tokens)
            {
                (nint first, nint second, int length, int tokenCount) = ((nint)value, (nint)token, values.Length, tokens.Length);
                Parallel.For(0, parts, part => body(
                    new ReadOnlySpan<float>((void*)first, length),
                    new ReadOnlySpan<TokenOrigin>((void*)second, tokenCount),
                    (int)((long)count * part / parts),
                    (int)((long)count * (part + 1) / parts),
                    part));
            }
        }
    }
}
