using Lab.Models.Interventions;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;

namespace Lab.SparseTraining.Tests.Training.Interventions;

public sealed class StretchTests
{
    [Theory]
    [InlineData(null, null, "0-6")]
    [InlineData(null, 3, "0-3")]
    [InlineData(2, null, "1-6")]
    [InlineData(2, 3, "1-3 4-6")]
    [InlineData(9, 3, "")]
    public void Of_Markers_IsFromEachToTheNext(int? from, int? until, string expected)
    {
        InterventionRule rule = Rule() with { FromTokenId = from, UntilTokenId = until };

        // The seventh token is no part of the sequence.
        Text(Stretch.Of(rule, [5, 2, 3, 5, 2, 6, 3], 6)).ShouldBe(expected);
    }

    [Theory]
    [InlineData(1, 3, "2-9:0")]
    [InlineData(2, 3, "4-9:0")]
    [InlineData(null, null, "0-10:0")]
    [InlineData(2, null, "4-10:0")]
    public void Of_Word_IsAroundIt(int? from, int? until, string expected)
    {
        InterventionRule rule = Rule() with { FromTokenId = from, UntilTokenId = until, Phrase = [10, 11], VectorOfToken = new Dictionary<int, int> { [12] = 0, [13] = 1 } };

        Text(Stretch.Of(rule, [3, 10, 1, 3, 2, 10, 11, 12, 3, 2, 5], 10)).ShouldBe(expected);
    }

    [Fact]
    public void Of_WordThatFollowsTheSequence_CountsToo()
    {
        InterventionRule rule = Rule() with { Phrase = [10], VectorOfToken = new Dictionary<int, int> { [12] = 4 } };

        Text(Stretch.Of(rule, [5, 10, 12], 2)).ShouldBe("0-2:4");
        Text(Stretch.Of(rule, [5, 10, 13], 2)).ShouldBe("");
        Text(Stretch.Of(rule, [5, 5, 10], 2)).ShouldBe("");
    }

    [Fact]
    public void Of_SeveralWords_HaveTheirOwnVectors()
    {
        InterventionRule rule = Rule() with { FromTokenId = 2, UntilTokenId = 3, Phrase = [10], VectorOfToken = new Dictionary<int, int> { [12] = 0, [13] = 1 } };

        Text(Stretch.Of(rule, [2, 10, 13, 3, 2, 10, 12, 3, 0], 8)).ShouldBe("0-4:1 4-8:0");
    }

    private static InterventionRule Rule() => new(new Intervention(new ActivationSelector("hook_embed"), new InterventionOperation.Zero())) { Vectors = [HostTensor.FromFloats("a", [1], 1)] };

    private static string Text(IEnumerable<Stretch> stretches) => string.Join(' ', stretches.Select(one => one.Vector is { } vector ? $"{one.Start}-{one.End}:{vector}" : $"{one.Start}-{one.End}"));
}
