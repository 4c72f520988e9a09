namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Merges neighbours by rank, the lowest first and of equals the leftmost, in n log n.</summary>
internal static class PairMerger
{
    /// <summary>The symbols that are left when no pair can be merged.</summary>
    public static BpeSymbol[] Merge(ReadOnlySpan<BpeSymbol> symbols, Dictionary<ulong, (int Rank, int Id)> merges)
    {
        int count = symbols.Length;
        BpeSymbol[] current = symbols.ToArray();
        int[] next = new int[count];
        int[] previous = new int[count];
        var queue = new PriorityQueue<(int At, ulong Pair, int Id), (int Rank, int At)>(count);
        for (int i = 0; i < count; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
        }

        for (int i = 0; i + 1 < count; i++) Enqueue(i);
        while (queue.TryDequeue(out (int At, ulong Pair, int Id) merge, out _))
        {
            // The entry is stale if one of its sides was merged with something else since.
            int right = next[merge.At];
            if (current[merge.At].Bytes == 0 || right == count || BpeVocabulary.Pair(current[merge.At].Id, current[right].Id) != merge.Pair) continue;
            current[merge.At] = new BpeSymbol(merge.Id, current[merge.At].Bytes + current[right].Bytes);
            current[right] = default;
            next[merge.At] = next[right];
            if (next[right] < count) previous[next[right]] = merge.At;
            if (previous[merge.At] >= 0) Enqueue(previous[merge.At]);
            if (next[merge.At] < count) Enqueue(merge.At);
        }

        return [.. current.Where(symbol => symbol.Bytes > 0)];

        void Enqueue(int at)
        {
            ulong pair = BpeVocabulary.Pair(current[at].Id, current[next[at]].Id);
            if (merges.TryGetValue(pair, out (int Rank, int Id) merge)) queue.Enqueue((at, pair, merge.Id), (merge.Rank, at));
        }
    }
}
