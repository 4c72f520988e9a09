namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Reads the <c>pre_tokenizer</c> of a tokenizer.json.</summary>
internal static class PreTokenizerReader
{
    /// <summary>Whether the vocabulary is written in bytes: <c>ByteLevel</c> stands alone or ends a sequence.</summary>
    public static bool IsByteLevel(JsonPlace place) => place.Type switch
    {
        "ByteLevel" => true,
        "Sequence" => place.Get("pretokenizers").Items.LastOrDefault() is { File: not null } last && IsByteLevel(last),
        _ => false,
    };

    /// <summary>Reads it.</summary>
    /// <param name="place">Where it is.</param>
    /// <param name="addPrefixSpace">What counts in place of <c>ByteLevel</c>'s own <c>add_prefix_space</c>, if anything.</param>
    public static PreTokenizer Read(JsonPlace place, bool? addPrefixSpace)
    {
        switch (place.Type)
        {
            case "Sequence":
                JsonPlace[] parts = [.. place.Get("pretokenizers").Items];
                if (parts.SkipLast(1).FirstOrDefault(IsByteLevel) is { File: not null } early) throw early.Error("is 'ByteLevel', which is supported only as the last");
                return new PreTokenizerSequence([.. parts.Select(part => Read(part, addPrefixSpace))]);
            case "ByteLevel":
                return new ByteLevelPreTokenizer(addPrefixSpace ?? place.Flag("add_prefix_space", absent: true), place.Flag("use_regex", absent: true));
            case "Split":
                return new SplitPreTokenizer(Pattern(place.Get("pattern")), Behavior(place.Get("behavior")), place.Flag("invert"));
            case "Metaspace":
                return new MetaspacePreTokenizer(DecoderReader.Character(place.Get("replacement")), MetaspacePrefixOf(place), place.Flag("split", absent: true));
            case "Digits":
                return new DigitsPreTokenizer(place.Flag("individual_digits"));
            default:
                throw place.Get("type").Unsupported(place.Type);
        }
    }

    /// <summary>When a <c>Metaspace</c> puts its character before a text, in the files' present and former way to say it.</summary>
    public static MetaspacePrefix MetaspacePrefixOf(JsonPlace place)
    {
        if (!place.Has("prepend_scheme", out JsonPlace scheme)) return place.Flag("add_prefix_space", absent: true) ? MetaspacePrefix.Always : MetaspacePrefix.Never;
        return scheme.Text switch
        {
            "always" => MetaspacePrefix.Always,
            "first" => MetaspacePrefix.First,
            "never" => MetaspacePrefix.Never,
            string other => throw scheme.Unsupported(other),
        };
    }

    private static SplitBehavior Behavior(JsonPlace place) => place.Text switch
    {
        "Isolated" => SplitBehavior.Isolated,
        "Removed" => SplitBehavior.Removed,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        string other => throw place.Unsupported(other),
    };

    private static CodePointRegex Pattern(JsonPlace place)
    {
        bool isText = place.Has("String", out JsonPlace text);
        JsonPlace pattern = isText ? text : place.Get("Regex");
        try
        {
            return new CodePointRegex(isText ? System.Text.RegularExpressions.Regex.Escape(pattern.Text) : pattern.Text);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{place.File}: {pattern.Path} is not supported: {e.Message}", e);
        }
    }
}
