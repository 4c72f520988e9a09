using Lab.Models.Corpora;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>
/// Draws windows of the corpus. The batch of a step is a pure function of (seed, step), so that a run that was interrupted
/// continues with the very batches it would have had.
/// </summary>
internal sealed class BatchSampler(TokenSplit split, int batchSize, int length, long seed)
{
    private readonly long[] _buffer = new long[batchSize * (length + 1)];

    /// <summary>The batch of a step: [batch, length + 1], the last position being a target only.</summary>
    public Tensor Batch(long step) => tensor(Read(step), batchSize, length + 1);

    /// <summary>As <see cref="Batch"/>, row by row, in memory that the next call overwrites.</summary>
    public long[] Read(long step)
    {
        ulong state = Mix((ulong)seed * 0x9E3779B97F4A7C15 ^ Mix((ulong)step + 1));
        long places = split.Length - length;
        for (int row = 0; row < batchSize; row++)
        {
            state = Mix(state + 0x9E3779B97F4A7C15);
            split.Read((long)(state % (ulong)places), _buffer.AsSpan(row * (length + 1), length + 1));
        }

        return _buffer;
    }

    /// <summary>SplitMix64's finalizer (Steele, Lea and Flood 2014).</summary>
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
