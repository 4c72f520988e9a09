using Lab.Models.Corpora;
using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Corpora;

public sealed class DialogueTurnTests
{
    private static readonly WordTokenizer _tokenizer = WordVocabulary.Train(["hello you"], 10, CancellationToken.None);

    [Fact]
    public void Find_WholeDialogues_GivesEveryTurn()
    {
        DialogueTurn.Find(Tokens("<|user|>hello<|end|><|assistant|>hello you<|end|><|endoftext|><|user|>you<|end|>"), _tokenizer)
            .ShouldBe([new DialogueTurn(false, 0, 3), new DialogueTurn(true, 3, 7), new DialogueTurn(false, 8, 11)]);
    }

    [Fact]
    public void Find_CutAtBothEnds_LeavesOutTheStartAndKeepsTheOpenTurn()
    {
        DialogueTurn.Find(Tokens("hello<|end|><|assistant|>you<|user|>hello hello"), _tokenizer)
            .ShouldBe([new DialogueTurn(true, 2, 4), new DialogueTurn(false, 4, 7)]);
        DialogueTurn.Find(Tokens("hello you"), _tokenizer).ShouldBeEmpty();
        DialogueTurn.Find(Tokens("<|user|>hello<|endoftext|>hello"), _tokenizer).ShouldBe([new DialogueTurn(false, 0, 2)]);
    }

    private static long[] Tokens(string text) => [.. _tokenizer.Encode(text, new EncodeOptions { ParseSpecial = true }).Ids.Select(id => (long)id)];
}
