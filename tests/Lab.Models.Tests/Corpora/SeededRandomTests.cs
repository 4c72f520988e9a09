using Lab.Models.Corpora;

namespace Lab.Models.Tests.Corpora;

public sealed class SeededRandomTests
{
    // The numbers are those of a Python statement of the algorithm that reproduces its published sequence for the state 1234567.
    [Theory]
    [InlineData(0, 0, 0xF5DD724FF3B8A536UL, 0x7C6EDE0099D1DAC1UL)]
    [InlineData(-7, 3, 0x4B64CBAB5C3BFF36UL, 0x8B4A4CD2B8C626E0UL)]
    public void NextBits_KnownSeed_GivesTheReferenceNumbers(long seed, long stream, ulong first, ulong second)
    {
        var random = new SeededRandom(seed, stream);

        random.NextBits().ShouldBe(first);
        random.NextBits().ShouldBe(second);
    }

    [Fact]
    public void NextBits_OtherSeedOrStream_Differs()
    {
        ulong[] firsts = [.. from seed in Enumerable.Range(-5, 10) from stream in Enumerable.Range(0, 10) select new SeededRandom(seed, stream).NextBits()];

        firsts.Distinct().Count().ShouldBe(firsts.Length);
    }

    [Fact]
    public void Next_ManyDraws_IsUniform()
    {
        var random = new SeededRandom(3);
        int[] counts = new int[7];
        for (int i = 0; i < 70_000; i++) counts[random.Next(7)]++;

        // The standard deviation of each count is 93.
        counts.ShouldAllBe(c => Math.Abs(c - 10_000) < 500);
    }

    [Fact]
    public void Between_ManyDraws_ReachesBothEnds()
    {
        var random = new SeededRandom(4);
        int[] draws = [.. Enumerable.Range(0, 200).Select(_ => random.Between(-1, 2))];

        draws.Distinct().Order().ShouldBe([-1, 0, 1, 2]);
    }
}
