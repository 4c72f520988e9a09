namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>The tokens that a <c>post_processor</c> puts around every text.</summary>
internal sealed record SequenceTemplate(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    public static SequenceTemplate Empty { get; } = new([], []);

    /// <summary>Reads a <c>post_processor</c>.</summary>
    public static SequenceTemplate Read(JsonPlace place)
    {
        switch (place.Type)
        {
            case "ByteLevel":
                // Only trims offsets of white space.
                return Empty;
            case "Sequence":
                return place.Get("processors").Items.Select(Read).Aggregate(Empty, (all, next) => new SequenceTemplate([.. next.Before, .. all.Before], [.. all.After, .. next.After]));
            case "TemplateProcessing":
                return ReadTemplate(place);
            default:
                throw place.Get("type").Unsupported(place.Type);
        }
    }

    private static SequenceTemplate ReadTemplate(JsonPlace place)
    {
        var before = new List<int>();
        var after = new List<int>();
        bool hasText = false;
        foreach (JsonPlace item in place.Get("single").Items)
        {
            if (item.Has("Sequence", out _)) hasText = hasText ? throw item.Error("is a second sequence") : true;
            else (hasText ? after : before).AddRange(IdsOf(place, item.Get("SpecialToken").Get("id")));
        }

        return hasText ? new SequenceTemplate(before, after) : throw place.Get("single").Error("has no sequence");
    }

    private static IEnumerable<int> IdsOf(JsonPlace place, JsonPlace token)
    {
        // A token's name is no path: it may hold dots.
        foreach ((string name, JsonPlace special) in place.Get("special_tokens").Properties)
        {
            if (name == token.Text) return special.Get("ids").Items.Select(id => id.Id);
        }

        throw token.Error($"is '{token.Text}', which 'special_tokens' does not have");
    }
}
