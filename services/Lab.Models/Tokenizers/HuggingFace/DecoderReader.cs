namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Reads the <c>decoder</c> of a tokenizer.json.</summary>
internal static class DecoderReader
{
    public static IReadOnlyList<TokenDecoder> Read(JsonPlace place) => place.Type switch
    {
        "Sequence" => [.. place.Get("decoders").Items.SelectMany(Read)],
        "ByteLevel" => [new ByteLevelDecoder()],
        "ByteFallback" => [new ByteFallbackDecoder()],
        "Fuse" => [new FuseDecoder()],
        "Replace" => [new ReplaceDecoder(NormalizerReader.Pattern(place.Get("pattern")), place.Get("content").Text)],
        "Strip" => [new StripDecoder(Character(place.Get("content")), place.Get("start").Id, place.Get("stop").Id)],
        "Metaspace" => [new MetaspaceDecoder(Character(place.Get("replacement")), PreTokenizerReader.MetaspacePrefixOf(place) != MetaspacePrefix.Never)],
        string type => throw place.Get("type").Unsupported(type),
    };

    /// <summary>A string of one character.</summary>
    public static char Character(JsonPlace place) => place.Text is [char character] ? character : throw place.Error("is not one character");
}
