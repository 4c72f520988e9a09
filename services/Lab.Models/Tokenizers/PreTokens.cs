using System.Text.RegularExpressions;

namespace Lab.Models.Tokenizers;

/// <summary>
/// Splits text into the pieces within which merges are made, by the expression of openai/circuit_sparsity's tinypython_2k
/// tokenizer. Every character belongs to exactly one piece. Letters outside the basic multilingual plane count as symbols,
/// since the expression sees UTF-16.
/// </summary>
internal static partial class PreTokens
{
    /// <summary>Longer pieces are cut: the time to encode one piece grows faster than its length.</summary>
    public const int MaxLength = 1024;

    public const string Expression = @"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>Enumerates the pieces of a text in order.</summary>
    public static Enumerator Split(ReadOnlySpan<char> text) => new(text);

    [GeneratedRegex(Expression, RegexOptions.CultureInvariant)]
    public static partial Regex Pattern();

    public ref struct Enumerator(ReadOnlySpan<char> text)
    {
        private readonly ReadOnlySpan<char> _text = text;
        private Regex.ValueMatchEnumerator _matches = Pattern().EnumerateMatches(text);
        private ReadOnlySpan<char> _rest;

        public ReadOnlySpan<char> Current { get; private set; }

        public readonly Enumerator GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_rest.IsEmpty)
            {
                if (!_matches.MoveNext()) return false;
                _rest = _text.Slice(_matches.Current.Index, _matches.Current.Length);
            }

            int length = Math.Min(_rest.Length, MaxLength);
            if (length < _rest.Length && char.IsHighSurrogate(_rest[length - 1])) length--;
            Current = _rest[..length];
            _rest = _rest[length..];
            return true;
        }
    }
}
