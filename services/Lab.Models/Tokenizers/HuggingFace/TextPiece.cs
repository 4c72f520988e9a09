namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>A range of a text within which tokens are made.</summary>
internal readonly record struct TextPiece(AlignedText Text, int Start, int End)
{
    public ReadOnlySpan<char> Characters => Text.Characters[Start..End];

    public TextSpan Original => Text.Original(Start, End);

    public AlignedText ToText() => Text.Slice(Start, End);

    public static TextPiece Whole(AlignedText text) => new(text, 0, text.Characters.Length);
}
