using System.Runtime.InteropServices;

namespace Lab.Models.Tokenizers;

/// <summary>A distinct piece of text as the tokens it consists of so far, and how often it occurs.</summary>
internal sealed class BpeWord(int[] ids, long count)
{
    public int[] Ids { get; } = ids;

    /// <summary>How many of <see cref="Ids"/> are in use; merges shorten a word in place.</summary>
    public int Length { get; set; } = ids.Length;

    public long Count { get; } = count;
}

/// <summary>
/// The counts of all adjacent token pairs, kept up to date while pairs are merged: a merge touches only the words that hold
/// the pair.
/// </summary>
internal sealed class BpePairTable
{
    private readonly List<BpeWord> _words;
    private readonly Dictionary<(int Left, int Right), PairOccurrences> _pairs = [];

    // Counts of pairs already queued only fall, so a queued priority is an upper bound that is checked when it is taken.
    private readonly PriorityQueue<(int Left, int Right), (long NegatedCount, int Left, int Right)> _queue = new();

    private readonly List<(int Left, int Right)> _newPairs = [];

    public BpePairTable(List<BpeWord> words)
    {
        _words = words;
        for (int w = 0; w < words.Count; w++) Count(w, 1, null);
        EnqueueNewPairs();
    }

    /// <summary>Takes the pair with the highest count (of equal ones that with the lowest ids), if any occurs at least twice.</summary>
    public bool TryTakeMostFrequent(out (int Left, int Right) pair)
    {
        while (_queue.TryDequeue(out pair, out (long NegatedCount, int, int) priority))
        {
            if (!_pairs.TryGetValue(pair, out PairOccurrences? occurrences)) continue;
            if (occurrences.Count == -priority.NegatedCount) return true;
            Enqueue(pair, occurrences.Count);
        }

        return false;
    }

    /// <summary>Replaces every occurrence of a pair by the token <paramref name="id"/>, which must be new.</summary>
    public void Merge((int Left, int Right) pair, int id)
    {
        foreach (int w in _pairs[pair].Words)
        {
            Count(w, -1, id);
            Replace(_words[w], pair, id);
            Count(w, 1, id);
        }

        _pairs.Remove(pair);
        EnqueueNewPairs();
    }

    private static void Replace(BpeWord word, (int Left, int Right) pair, int id)
    {
        int to = 0;
        for (int from = 0; from < word.Length; from++)
        {
            bool isPair = from + 1 < word.Length && word.Ids[from] == pair.Left && word.Ids[from + 1] == pair.Right;
            word.Ids[to++] = isPair ? id : word.Ids[from];
            if (isPair) from++;
        }

        word.Length = to;
    }

    /// <summary>Adds or takes away a word's pairs. A word is listed with those of its pairs that hold the new token, if there is one.</summary>
    private void Count(int wordIndex, int sign, int? newToken)
    {
        BpeWord word = _words[wordIndex];
        for (int i = 0; i + 1 < word.Length; i++)
        {
            (int Left, int Right) pair = (word.Ids[i], word.Ids[i + 1]);
            ref PairOccurrences? occurrences = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, pair, out _);
            occurrences ??= new PairOccurrences();
            occurrences.Count += sign * word.Count;
            if (newToken is not null && pair.Left != newToken && pair.Right != newToken) continue;
            if (occurrences.Words.Count == 0) _newPairs.Add(pair);
            if (occurrences.Words.Count == 0 || occurrences.Words[^1] != wordIndex) occurrences.Words.Add(wordIndex);
        }
    }

    private void EnqueueNewPairs()
    {
        foreach ((int Left, int Right) pair in _newPairs) Enqueue(pair, _pairs[pair].Count);
        _newPairs.Clear();
    }

    private void Enqueue((int Left, int Right) pair, long count)
    {
        if (count >= 2) _queue.Enqueue(pair, (-count, pair.Left, pair.Right));
    }

    private sealed class PairOccurrences
    {
        public long Count { get; set; }

        public List<int> Words { get; } = [];
    }
}
