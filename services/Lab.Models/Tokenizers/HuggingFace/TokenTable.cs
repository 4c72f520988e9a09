namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>All tokens by id: those of the vocabulary, and those that were added.</summary>
internal sealed class TokenTable
{
    // Ids of real files have hardly a gap: a file that names a huge one must not make a huge table.
    private const int MaxGaps = 1 << 16;

    private readonly string?[] _texts;
    private readonly HashSet<int> _special;

    public TokenTable(BpeVocabulary vocabulary, IReadOnlyList<AddedToken> added)
    {
        int last = Math.Max(vocabulary.Ids.Values.Max(), added.Count == 0 ? 0 : added.Max(token => token.Id));
        if (last > vocabulary.Ids.Count + added.Count + MaxGaps) throw new InvalidDataException($"The tokenizer has {vocabulary.Ids.Count} tokens, yet one has the id {last}.");
        _texts = new string?[last + 1];
        foreach ((string token, int id) in vocabulary.Ids) _texts[id] = token;
        foreach (AddedToken token in added) _texts[token.Id] = token.Content;
        Added = added.GroupBy(token => token.Id).ToDictionary(tokens => tokens.Key, tokens => tokens.First());
        _special = [.. added.Where(token => token.IsSpecial).Select(token => token.Id)];
        Vocabulary = vocabulary;
    }

    public BpeVocabulary Vocabulary { get; }

    /// <summary>The added tokens by id.</summary>
    public IReadOnlyDictionary<int, AddedToken> Added { get; }

    /// <summary>One more than the highest id.</summary>
    public int Size => _texts.Length;

    /// <summary>A token as written; null for an id that none has.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string? this[int id] => (uint)id < (uint)_texts.Length
        ? _texts[id]
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"Token {id} is not in the vocabulary of {Size}.");

    public bool IsSpecial(int id) => _special.Contains(id);

    /// <summary>The id of a token as written.</summary>
    public int? Find(string token) => Added.Values.FirstOrDefault(added => added.Content == token)?.Id ?? (Vocabulary.Ids.TryGetValue(token, out int id) ? id : null);

    /// <summary>The tokens with a role.</summary>
    public SpecialTokens Roles(TokenizerConfig config)
    {
        int[] stops = config.Ids.GetValueOrDefault("eos_token_id") ?? [];
        int? eos = Role("eos");
        return new SpecialTokens
        {
            Bos = Role("bos"),
            Eos = eos,
            Pad = Role("pad"),
            Unknown = Role("unk") ?? (Vocabulary.UnknownToken is { } unknown ? Find(unknown) : null),
            Stops = [.. stops.Prepend(eos ?? -1).Where(id => id >= 0).Distinct()],
            ByText = Added.Values.Where(token => token.IsSpecial).GroupBy(token => token.Content).ToDictionary(tokens => tokens.Key, tokens => tokens.First().Id),
        };

        int? Role(string role) =>
            config.Tokens.TryGetValue($"{role}_token", out string? text) && Find(text) is { } id ? id
            : config.Ids.GetValueOrDefault($"{role}_token_id") is [int first, ..] && first < Size ? first
            : null;
    }
}
