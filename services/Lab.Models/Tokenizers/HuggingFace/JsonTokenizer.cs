using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>
/// The tokenizer of a Hugging Face file: added tokens are taken out first, then the text is normalized, split and merged.
/// </summary>
internal sealed class JsonTokenizer : ITokenizer
{
    private readonly TokenTable _table;
    private readonly TokenizerJson _json;
    private readonly BpeModel _model;
    private readonly AddedTokenMatcher _rawTokens;
    private readonly AddedTokenMatcher _normalizedTokens;
    private readonly SequenceTemplate _template;

    public JsonTokenizer(TokenizerJson json, TokenizerConfig config)
    {
        _json = json;
        _table = new TokenTable(json.Vocabulary, [.. json.AddedTokens, .. config.AddedTokens.ExceptBy(json.AddedTokens.Select(token => token.Id), token => token.Id)]);
        foreach (int id in json.Template.Before.Concat(json.Template.After))
        {
            if (id >= _table.Size) throw new InvalidDataException($"{TokenizerJson.FileName}: $.post_processor adds token {id}, which the vocabulary of {_table.Size} does not have.");
        }

        _model = new BpeModel(json.Vocabulary, json.IsByteLevel);
        SpecialTokens = _table.Roles(config);
        AddedToken[] added = [.. _table.Added.Values.OrderByDescending(token => token.IsSpecial)];
        _rawTokens = new AddedTokenMatcher(added.Where(token => !token.IsNormalized).Select(token => (token.Content, token)));
        _normalizedTokens = new AddedTokenMatcher(added.Where(token => token.IsNormalized).Select(token => (Normalize(AlignedText.Of(token.Content, 0, token.Content.Length)).Characters.ToString(), token)));
        _template = TemplateOf(json.Template, config, SpecialTokens);
    }

    public int VocabSize => _table.Size;

    public SpecialTokens SpecialTokens { get; }

    public TokenizedText Encode(string text, EncodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(options);
        text = CodePoints.WellFormed(text);
        var builder = new TokenListBuilder(text, (text.Length / 3) + 8);
        var parts = new List<(int Start, int End, AddedToken? Token)>();
        _rawTokens.Split(text, options.ParseSpecial, parts);
        foreach ((int start, int end, AddedToken? token) in parts)
        {
            if (token is not null) builder.Add(token.Id, new TextSpan(start, end));
            else EncodePart(Normalize(AlignedText.Of(text, start, end)), options, builder);
        }

        return options.ContinuesSequence ? builder.Build(options.Bos == BosPolicy.Always ? BosPolicy.Always : BosPolicy.Never, SpecialTokens.Bos, [], [])
            : builder.Build(options.Bos, SpecialTokens.Bos, _template.Before, _template.After);
    }

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var parts = new List<string>(ids.Length);
        foreach (int id in ids)
        {
            if (_table[id] is { } token && !(skipSpecial && _table.IsSpecial(id))) parts.Add(token);
        }

        foreach (TokenDecoder decoder in _json.Decoders) decoder.Decode(parts);
        return string.Concat(parts);
    }

    public string TokenText(int id) => TokenDisplay.Of(TokenBytes(id));

    public ReadOnlySpan<byte> TokenBytes(int id)
    {
        if (_table[id] is not { } token) return [];
        if (_table.Added.ContainsKey(id)) return Encoding.UTF8.GetBytes(token);
        if (!_json.IsByteLevel) return _json.Vocabulary.HasByteFallback && ByteFallbackDecoder.TryRead(token, out byte value) ? [value] : Encoding.UTF8.GetBytes(token.Replace('\u2581', ' '));
        byte[] bytes = new byte[token.Length];
        for (int i = 0; i < token.Length; i++)
        {
            if (!ByteAlphabet.TryGetByte(token[i], out bytes[i])) return Encoding.UTF8.GetBytes(token);
        }

        return bytes;
    }

    private AlignedText Normalize(AlignedText text) => _json.Normalizer?.Normalize(text) ?? text;

    private void EncodePart(AlignedText text, EncodeOptions options, TokenListBuilder builder)
    {
        var parts = new List<(int Start, int End, AddedToken? Token)>();
        _normalizedTokens.Split(text.Characters, options.ParseSpecial, parts);
        var pieces = new List<TextPiece>();
        var symbols = new List<BpeSymbol>();
        foreach ((int start, int end, AddedToken? token) in parts)
        {
            var whole = new TextPiece(text, start, end);
            if (token is not null)
            {
                builder.Add(token.Id, whole.Original);
                continue;
            }

            pieces.Clear();
            if (_json.PreTokenizer is { } split) split.Split(whole, isStart: !options.ContinuesSequence && whole.Original.Start == 0, pieces);
            else pieces.Add(whole);
            foreach (TextPiece piece in pieces)
            {
                symbols.Clear();
                _model.Encode(piece.Characters, symbols);
                var cursor = new ByteCursor(piece.Characters);
                foreach (BpeSymbol symbol in symbols)
                {
                    TextSpan span = cursor.Take(symbol.Bytes);
                    builder.Add(symbol.Id, piece.Text.Original(piece.Start + span.Start, piece.Start + span.End));
                }
            }
        }
    }

    private static SequenceTemplate TemplateOf(SequenceTemplate template, TokenizerConfig config, SpecialTokens roles)
    {
        if (config.AddsBos is { } addsBos && roles.Bos is { } bos) template = template with { Before = addsBos ? [bos] : [.. template.Before.Where(id => id != bos)] };
        if (config.AddsEos is { } addsEos && roles.Eos is { } eos) template = template with { After = addsEos ? [eos] : [.. template.After.Where(id => id != eos)] };
        return template;
    }
}
