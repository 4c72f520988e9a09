namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>A text made from a part of another, and what each of its UTF-16 code units stands for there.</summary>
internal sealed class AlignedText
{
    private readonly ReadOnlyMemory<char> _characters;
    private readonly int _start;

    // Empty while the text is an unchanged part of the original.
    private readonly ReadOnlyMemory<TextSpan> _spans;

    private AlignedText(ReadOnlyMemory<char> characters, int start, ReadOnlyMemory<TextSpan> spans) => (_characters, _start, _spans) = (characters, start, spans);

    /// <summary>The text.</summary>
    public ReadOnlySpan<char> Characters => _characters.Span;

    /// <summary>Where the original of the text begins.</summary>
    public int OriginalStart => _start;

    /// <summary>A part of an original text.</summary>
    public static AlignedText Of(string original, int start, int end) => new(original.AsMemory(start..end), start, default);

    /// <summary>What a range of the text stands for in the original. Nothing, but at its place, for characters that were put in.</summary>
    public TextSpan Original(int start, int end)
    {
        if (_spans.IsEmpty) return new TextSpan(_start + start, _start + end);
        if (start < end) return new TextSpan(_spans.Span[start].Start, _spans.Span[end - 1].End);
        int at = start < _spans.Length ? _spans.Span[start].Start : _spans.Span[^1].End;
        return new TextSpan(at, at);
    }

    /// <summary>A part of the text.</summary>
    public AlignedText Slice(int start, int end) =>
        new(_characters[start..end], Original(start, end).Start, _spans.IsEmpty ? _spans : _spans[start..end]);

    /// <summary>The text after other characters, which stand for nothing.</summary>
    public AlignedText Prepend(string prefix)
    {
        var changed = new Builder(this, prefix.Length);
        changed.Append(prefix, 0, 0);
        changed.Copy(0, Characters.Length);
        return changed.Build();
    }

    /// <summary>The text with another string, not empty, in place of each occurrence of a string.</summary>
    public AlignedText Replace(string old, string replacement)
    {
        if (!Characters.Contains(old, StringComparison.Ordinal)) return this;
        var changed = new Builder(this, 16);
        int from = 0;
        while (Characters[from..].IndexOf(old, StringComparison.Ordinal) is >= 0 and int found)
        {
            changed.Copy(from, from + found);
            changed.Append(replacement, from + found, from + found + old.Length);
            from += found + old.Length;
        }

        changed.Copy(from, Characters.Length);
        return changed.Build();
    }

    /// <summary>Makes a changed text, from its start to its end.</summary>
    internal sealed class Builder(AlignedText source, int additional)
    {
        private readonly List<char> _characters = new(source.Characters.Length + additional);
        private readonly List<TextSpan> _spans = new(source.Characters.Length + additional);

        /// <summary>Takes a range over as it is.</summary>
        public void Copy(int start, int end)
        {
            _characters.AddRange(source.Characters[start..end]);
            for (int i = start; i < end; i++)
            {
                // Both halves of a surrogate pair stand for the whole, so that no span can cut it.
                bool isHigh = CodePoints.LengthAt(source.Characters, i) == 2;
                _spans.Add(source.Original(i, isHigh ? i + 2 : i + 1));
                if (isHigh) _spans.Add(_spans[^1]);
                if (isHigh) i++;
            }
        }

        /// <summary>Puts characters in for a range.</summary>
        public void Append(ReadOnlySpan<char> characters, int start, int end)
        {
            TextSpan original = source.Original(start, end);
            _characters.AddRange(characters);
            for (int i = 0; i < characters.Length; i++) _spans.Add(original);
        }

        public AlignedText Build() => new(_characters.ToArray(), source._start, _spans.ToArray());
    }
}
