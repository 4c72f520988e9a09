namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Changes a text before it is split.</summary>
internal abstract class TextNormalizer
{
    public abstract AlignedText Normalize(AlignedText text);
}

/// <summary>Puts a string before a text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : TextNormalizer
{
    public override AlignedText Normalize(AlignedText text) => text.Characters.IsEmpty ? text : text.Prepend(prefix);
}

/// <summary>Puts a string in place of another.</summary>
internal sealed class ReplaceNormalizer(string old, string replacement) : TextNormalizer
{
    public override AlignedText Normalize(AlignedText text) => text.Replace(old, replacement);
}

/// <summary>Some, one after the other.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<TextNormalizer> parts) : TextNormalizer
{
    public override AlignedText Normalize(AlignedText text) => parts.Aggregate(text, (current, part) => part.Normalize(current));
}
