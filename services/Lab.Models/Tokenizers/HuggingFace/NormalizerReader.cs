namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Reads the <c>normalizer</c> of a tokenizer.json.</summary>
internal static class NormalizerReader
{
    public static TextNormalizer Read(JsonPlace place) => place.Type switch
    {
        "Sequence" => new NormalizerSequence([.. place.Get("normalizers").Items.Select(Read)]),
        "NFC" => new NfcNormalizer(),
        "Prepend" => new PrependNormalizer(place.Get("prepend").Text),
        "Replace" => new ReplaceNormalizer(Pattern(place.Get("pattern")), place.Get("content").Text),
        string type => throw place.Get("type").Unsupported(type),
    };

    /// <summary>A pattern that is a plain string.</summary>
    public static string Pattern(JsonPlace pattern)
    {
        if (!pattern.Has("String", out JsonPlace text)) throw pattern.Error("is not a 'String': others are not supported");
        return text.Text.Length > 0 ? text.Text : throw text.Error("is empty");
    }
}
