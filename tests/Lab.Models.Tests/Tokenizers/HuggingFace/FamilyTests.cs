using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

public sealed class FamilyTests
{
    private static readonly EncodeOptions _parsing = new() { ParseSpecial = true };

    public static TheoryData<string> Families => [.. FamilyCase.Families];

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_AsHuggingFaceDoes_GivesItsIds(string family)
    {
        ITokenizer tokenizer = Load(family);

        foreach (FamilyCase expected in FamilyCase.Read(family))
        {
            tokenizer.Encode(expected.Text, _parsing).Ids.ShouldBe(expected.Ids, expected.Text);
        }
    }

    /// <summary>
    /// The spans are Hugging Face's, but for two things: what it gives to the first of some characters that are composed or
    /// replaced together belongs to all of them here, and a space that was only added covers nothing here.
    /// </summary>
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("llama3")]
    [InlineData("mistral")]
    [InlineData("tekken")]
    [InlineData("qwen2")]
    [InlineData("gemma3")]
    [InlineData("metaspace")]
    public void Encode_AsHuggingFaceDoes_GivesItsSpans(string family)
    {
        ITokenizer tokenizer = Load(family);

        foreach (FamilyCase expected in FamilyCase.Read(family))
        {
            TokenizedText encoded = tokenizer.Encode(expected.Text, _parsing);
            TextSpan[] spans = encoded.CodePointSpans();
            spans.ShouldBe(encoded.Spans.Select(span => span.ToCodePoints(expected.Text)), expected.Text);
            spans.Select(span => TextSpan.FromCodePoints(expected.Text, span.Start, span.End)).ShouldBe(encoded.Spans, expected.Text);
            for (int i = 0; i < spans.Length; i++)
            {
                var theirs = new TextSpan(expected.Spans[2 * i], expected.Spans[(2 * i) + 1]);
                if (family is "gpt2" or "llama3" or "tekken" or "gemma3") spans[i].ShouldBe(theirs, expected.Text);
                else if (spans[i].Length == 0) spans[i].Start.ShouldBe(theirs.Start, expected.Text);
                else (spans[i].Start <= theirs.Start && theirs.End <= spans[i].End).ShouldBeTrue($"{spans[i]} is not around {theirs} in {expected.Text}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Decode_AsHuggingFaceDoes_GivesItsText(string family)
    {
        ITokenizer tokenizer = Load(family);

        foreach (FamilyCase expected in FamilyCase.Read(family))
        {
            tokenizer.Decode(expected.Ids).ShouldBe(expected.Decoded, expected.Text);
            tokenizer.Decode(expected.Ids, skipSpecial: true).ShouldBe(expected.Skipped, expected.Text);
        }
    }

    private static ITokenizer Load(string family) => TokenizerFolder.Load(FamilyCase.FolderOf(family)).ShouldNotBeNull();
}
