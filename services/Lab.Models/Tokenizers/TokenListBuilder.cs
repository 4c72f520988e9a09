namespace Lab.Models.Tokenizers;

/// <summary>Collects the tokens of a text and puts those that every sequence has around them.</summary>
internal sealed class TokenListBuilder(string text, int capacity)
{
    private readonly List<int> _ids = new(capacity);
    private readonly List<TextSpan> _spans = new(capacity);

    public string Text => text;

    public void Add(int id, TextSpan span)
    {
        _ids.Add(id);
        _spans.Add(span);
    }

    /// <summary>Finishes the list.</summary>
    /// <param name="policy">Whether BOS is added.</param>
    /// <param name="bos">The id of BOS, if there is one.</param>
    /// <param name="before">What <see cref="BosPolicy.Default"/> puts before the text.</param>
    /// <param name="after">What is put after the text.</param>
    public TokenizedText Build(BosPolicy policy, int? bos, IReadOnlyList<int> before, IReadOnlyList<int> after)
    {
        IReadOnlyList<int> prefix = policy switch
        {
            BosPolicy.Never => [],
            BosPolicy.Default => before,
            _ => bos is { } id ? [id] : throw new ArgumentException("The tokenizer has no BOS token.", nameof(bos)),
        };
        bool beginsWithBos = _ids.Count > 0 && _ids[0] == bos;
        if (beginsWithBos) prefix = [.. prefix.Where(id => id != bos)];
        BosState state = prefix.Contains(bos ?? -1) ? BosState.Added : beginsWithBos ? BosState.InText : BosState.Absent;
        int[] ids = [.. prefix, .. _ids, .. after];
        TextSpan[] spans = [.. prefix.Select(_ => default(TextSpan)), .. _spans, .. after.Select(_ => new TextSpan(text.Length, text.Length))];
        return new TokenizedText(text, ids, spans, state, after.Count > 0);
    }
}
