namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>The model part of a tokenizer file: byte-pair encoding with these tokens and merges.</summary>
internal sealed class BpeVocabulary
{
    private int _nextRank;

    /// <summary>Ids by token, as written in the file.</summary>
    public Dictionary<string, int> Ids { get; } = new(StringComparer.Ordinal);

    /// <summary>The rank of a pair of ids, from 0, the first to be merged, and the id it becomes. Keys are made by <see cref="Pair"/>.</summary>
    public Dictionary<ulong, (int Rank, int Id)> Merges { get; } = [];

    /// <summary>What stands for a character that has no token; null if there is none.</summary>
    public string? UnknownToken { get; set; }

    /// <summary>Whether unknown characters in a row become one token.</summary>
    public bool FusesUnknown { get; set; }

    /// <summary>Whether a character that has no token is written in <c>&lt;0xE2&gt;</c> tokens.</summary>
    public bool HasByteFallback { get; set; }

    /// <summary>Whether a piece that is a token as a whole is that token, whatever its merges give.</summary>
    public bool IgnoresMerges { get; set; }

    /// <summary>The key of a pair of ids.</summary>
    public static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    /// <summary>Adds the next merge. One that is there already gets the later rank.</summary>
    /// <returns>Whether both sides and what they make are tokens.</returns>
    public bool TryAddMerge(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        var ids = Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        int length = left.Length + right.Length;
        Span<char> merged = length <= 256 ? stackalloc char[length] : new char[length];
        left.CopyTo(merged);
        right.CopyTo(merged[left.Length..]);
        if (left.IsEmpty || right.IsEmpty || !ids.TryGetValue(left, out int l) || !ids.TryGetValue(right, out int r) || !ids.TryGetValue(merged, out int id)) return false;
        Merges[Pair(l, r)] = (_nextRank++, id);
        return true;
    }
}
