using Lab.Models.Tokenizers;

namespace Lab.Models.Tests.Tokenizers;

public sealed class BpeTrainerTests
{
    [Fact]
    public void Train_HandCountedText_MergesTheMostFrequentPairFirst()
    {
        LabTokenizer tokenizer = BpeTrainer.Train(["abab ab", "cd"], 259, TestContext.Current.CancellationToken);

        // "abab" holds a-b twice and " ab" once; then ab-ab and space-ab occur only once each, so nothing more is merged.
        tokenizer.VocabSize.ShouldBe(258);
        tokenizer.TokenText(256).ShouldBe("ab");
        tokenizer.EndOfText.ShouldBe(257);
    }

    [Fact]
    public void Train_TiedPairs_TakesTheLowestIds()
    {
        LabTokenizer tokenizer = BpeTrainer.Train(["cd cd", "xy xy", "ab ab"], 258, TestContext.Current.CancellationToken);

        tokenizer.TokenText(256).ShouldBe("ab");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Train_AnyText_EqualsRecountingEveryPair(int seed)
    {
        var random = new Random(seed);
        string[] texts = seed == 0
            ? [SampleText.Python]
            : [.. Enumerable.Range(0, 40).Select(_ => string.Concat(Enumerable.Range(0, 60).Select(_ => "aaabbc \n"[random.Next(8)])))];
        const int VocabSize = 340;

        LabTokenizer trained = BpeTrainer.Train(texts, VocabSize, TestContext.Current.CancellationToken);

        string[] expected = [.. ReferenceBpe.TrainByRecounting(texts, VocabSize)];
        Enumerable.Range(256, trained.EndOfText - 256).Select(trained.TokenText).ShouldBe(expected);
    }

    [Fact]
    public void Train_DocumentsInAnotherOrder_GivesTheSameTokenizer()
    {
        string[] texts = SampleText.Python.Split("\n\n");

        LabTokenizer one = BpeTrainer.Train(texts, 320, TestContext.Current.CancellationToken);
        LabTokenizer two = BpeTrainer.Train(texts.Reverse(), 320, TestContext.Current.CancellationToken);

        two.Merges.ShouldBe(one.Merges);
    }

    [Theory]
    [InlineData(256)]
    [InlineData(65537)]
    public void Train_SizeOutOfRange_Throws(int vocabSize) =>
        Should.Throw<ArgumentOutOfRangeException>(() => BpeTrainer.Train(["a"], vocabSize, TestContext.Current.CancellationToken)).ParamName.ShouldBe("vocabSize");

    [Fact]
    public void Train_Cancelled_Stops() =>
        Should.Throw<OperationCanceledException>(() => BpeTrainer.Train([SampleText.Python], 300, new CancellationToken(canceled: true)));
}
