using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class DocumentSplitTests
{
    [Fact]
    public void Of_ManyHashes_HoldsOutTheFractionWithLowHashes()
    {
        ulong[] hashes = [.. Enumerable.Range(0, 100).Select(i => (ulong)i * (ulong.MaxValue / 100))];

        DocumentSplit split = DocumentSplit.Of(hashes, 0.25);

        Enumerable.Range(0, 100).Where(i => split.IsHeldOut(i)).ShouldBe(Enumerable.Range(0, 26));
    }

    [Fact]
    public void Of_NoLowHash_HoldsOutTheLowest() => Flags([ulong.MaxValue, ulong.MaxValue - 2, ulong.MaxValue - 1], 0.05).ShouldBe([false, true, false]);

    [Fact]
    public void OfTwo_Documents_HoldOutTheSecond() => new[] { DocumentSplit.OfTwo.IsHeldOut(0), DocumentSplit.OfTwo.IsHeldOut(1) }.ShouldBe([false, true]);

    [Fact]
    public void Of_OnlyLowHashes_KeepsTheHighestForTraining() => Flags([3, 9, 1], 0.5).ShouldBe([true, false, true]);

    private static bool[] Flags(ulong[] hashes, double fraction)
    {
        DocumentSplit split = DocumentSplit.Of(hashes, fraction);
        return [.. hashes.Select((_, i) => split.IsHeldOut(i))];
    }
}
