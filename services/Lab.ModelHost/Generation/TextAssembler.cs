using System.Text;
using Lab.Models.Tokenizers;

namespace Lab.ModelHost.Generation;

/// <summary>Puts generated tokens together to text: bytes of an unfinished character wait for those that finish it.</summary>
/// <param name="tokenizer">The tokenizer; null for a model without: then there is no text.</param>
/// <param name="stops">Texts to look for; none empty.</param>
internal sealed class TextAssembler(ITokenizer? tokenizer, IReadOnlyList<string> stops)
{
    /// <summary>What a token is that the tokenizer does not know.</summary>
    private static readonly byte[] Replacement = [0xEF, 0xBF, 0xBD];

    private readonly Decoder _decoder = new UTF8Encoding(false).GetDecoder();
    private readonly StringBuilder _text = new();
    private readonly int _longestStop = stops.Count == 0 ? 0 : stops.Max(stop => stop.Length);

    /// <summary>All text so far.</summary>
    public string Text => _text.ToString();

    /// <summary>Adds a token.</summary>
    /// <returns>The text that it adds.</returns>
    public string Add(int token) => tokenizer is null ? "" : Append(token < tokenizer.VocabSize ? tokenizer.TokenBytes(token) : Replacement, isLast: false);

    /// <summary>Ends the text: what is unfinished becomes the replacement character.</summary>
    /// <returns>What that adds.</returns>
    public string End() => Append([], isLast: true);

    /// <summary>Whether the text that <paramref name="added"/> ended has a stop text that was not there before.</summary>
    public bool HasStop(string added)
    {
        if (_longestStop == 0 || added.Length == 0) return false;
        int start = Math.Max(0, _text.Length - added.Length - _longestStop + 1);
        string tail = _text.ToString(start, _text.Length - start);
        return stops.Any(stop => tail.Contains(stop, StringComparison.Ordinal));
    }

    private string Append(ReadOnlySpan<byte> bytes, bool isLast)
    {
        char[] chars = new char[bytes.Length + 4];
        string piece = new(chars, 0, _decoder.GetChars(bytes, chars, isLast));
        _text.Append(piece);
        return piece;
    }
}
