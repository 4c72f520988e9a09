using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class DocumentSplitTests
{
    [Fact]
    public void Of_ManyHashes_HoldsOutTheFractionWithLowHashes()
    {
        ulong[] hashes = [.. Enumerable.Range(0, 100).Select(i => (ulong)i * (ulong.MaxValue / 100))];

        DocumentSplit split = DocumentSplit.Of(hashes, 0.25);

        Enumerable.Range(0, 100).Where(i => IsHeldOut(split, i)).ShouldBe(Enumerable.Range(0, 26));
    }

    [Fact]
    public void Of_NoLowHash_HoldsOutTheLowest() => Flags([ulong.MaxValue, ulong.MaxValue - 2, ulong.MaxValue - 1], 0.05).ShouldBe([false, true, false]);

    [Fact]
    public void Of_OnlyLowHashes_KeepsTheHighestForTraining() => Flags([3, 9, 1], 0.5).ShouldBe([true, false, true]);

    [Theory]
    [InlineData("one\ntwo\nthree\nfour\n", 0.5, "one\ntwo\n")]
    [InlineData("abcdefgh", 0.25, "abcdef")]
    [InlineData("😀😀", 0.25, "😀")]
    public void Parts_OfASingleDocument_HoldOutItsEnd(string text, double fraction, string train)
    {
        DocumentSplit split = DocumentSplit.Of([5], fraction);

        split.IsWithinDocument.ShouldBeTrue();
        split.Parts(0, text).ShouldBe([(train, false), (text[train.Length..], true)]);
    }

    private static bool[] Flags(ulong[] hashes, double fraction)
    {
        DocumentSplit split = DocumentSplit.Of(hashes, fraction);
        return [.. hashes.Select((_, i) => IsHeldOut(split, i))];
    }

    private static bool IsHeldOut(DocumentSplit split, int document) => split.Parts(document, "text").Single().IsHeldOut;
}
