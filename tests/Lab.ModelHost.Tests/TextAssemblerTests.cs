using Lab.ModelHost.Generation;

namespace Lab.ModelHost.Tests;

public sealed class TextAssemblerTests
{
    private static int[] Ids(string text) => HostedLab.Tokenizer.Encode(text);

    [Fact]
    public void Add_TokensThatAreParts_WaitForTheOthers()
    {
        // Outside of the trained text every byte is a token of its own.
        int[] cat = Ids("🐱");
        cat.Length.ShouldBe(4);
        TextAssembler text = new(HostedLab.Tokenizer, []);

        string[] pieces = [.. ((int[])[.. Ids("a"), .. cat, .. Ids("b")]).Select(text.Add)];

        pieces.ShouldBe(["a", "", "", "", "🐱", "b"]);
        text.End().ShouldBe("");
        text.Text.ShouldBe("a🐱b");
    }

    [Fact]
    public void End_UnfinishedCharacter_IsTheReplacementCharacter()
    {
        TextAssembler text = new(HostedLab.Tokenizer, []);

        Ids("é")[..1].Select(text.Add).ShouldBe([""]);

        text.End().ShouldBe("\uFFFD");
    }

    [Fact]
    public void Add_TokenThatTheTokenizerDoesNotKnow_IsTheReplacementCharacter()
    {
        new TextAssembler(HostedLab.Tokenizer, []).Add(HostedLab.Tokenizer.VocabSize).ShouldBe("\uFFFD");
        new TextAssembler(null, []).Add(3).ShouldBe("");
    }

    [Fact]
    public void HasStop_TextOverSeveralTokens_IsFoundWhenItIsComplete()
    {
        TextAssembler text = new(HostedLab.Tokenizer, ["x, y", "zz"]);

        bool[] found = [.. Ids("wx, yz").Select(id => text.HasStop(text.Add(id)))];

        found.Count(isStop => isStop).ShouldBe(1);
        Array.IndexOf(found, true).ShouldBe(Ids("wx, y").Length - 1);
    }
}
