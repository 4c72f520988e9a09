namespace Lab.Testing;

/// <summary>Damages bytes at random, and tries what reads them.</summary>
public static class Mutants
{
    /// <summary>Makes one to three edits: a byte or bit changed, bytes removed, doubled or cut off, a fragment put in or over.</summary>
    /// <param name="good">The bytes to start from, which are not changed.</param>
    /// <param name="from">The first byte that may be edited.</param>
    /// <param name="to">The end of the bytes that may be edited.</param>
    /// <param name="random">Decides.</param>
    /// <param name="fragments">What is put in: pieces of the format that matter.</param>
    public static byte[] Mutate(byte[] good, int from, int to, Random random, IReadOnlyList<byte[]> fragments)
    {
        List<byte> mutant = [.. good];
        for (int edits = random.Next(1, 4); edits > 0; edits--)
        {
            int end = Math.Min(to, mutant.Count);
            if (end <= from) break;
            int at = random.Next(from, end);
            int few = Math.Min(random.Next(1, 9), mutant.Count - at);
            byte[] fragment = fragments[random.Next(fragments.Count)];
            switch (random.Next(9))
            {
                case 0: mutant[at] = (byte)random.Next(256); break;
                case 1: mutant[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: mutant.RemoveRange(at, few); break;
                case 3: mutant.InsertRange(at, mutant.GetRange(random.Next(from, at + 1), 1)); break;
                case 4: mutant.InsertRange(random.Next(from, end), mutant.GetRange(at, few)); break;
                case 5: mutant.InsertRange(at, fragment); break;
                case 6 when at + fragment.Length <= mutant.Count: Overwrite(mutant, at, fragment); break;
                case 7: Overwrite(mutant, at, Enumerable.Repeat((byte)(random.Next(2) * 255), few)); break;
                default: mutant.RemoveRange(at, random.Next(4) == 0 ? mutant.Count - at : few); break;
            }
        }

        return [.. mutant];
    }

    /// <summary>Runs an action that may refuse what it is given.</summary>
    /// <returns>The refusal, if it was one, and how many bytes of managed memory this thread took. Every other exception goes through.</returns>
    public static (InvalidDataException? Refusal, long AllocatedBytes) Try(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            action();
            return (null, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        catch (InvalidDataException refusal)
        {
            return (refusal, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    private static void Overwrite(List<byte> mutant, int at, IEnumerable<byte> bytes)
    {
        foreach (byte value in bytes) mutant[at++] = value;
    }
}
