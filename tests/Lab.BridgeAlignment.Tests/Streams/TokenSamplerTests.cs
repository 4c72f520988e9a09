using Lab.BridgeAlignment.Streams;

namespace Lab.BridgeAlignment.Tests.Streams;

public sealed class TokenSamplerTests
{
    private static readonly TokenSampler Sut = new(1000, (offset, destination) =>
    {
        for (int i = 0; i < destination.Length; i++) destination[i] = offset + i;
    });

    [Fact]
    public void Draw_EqualSeedAndStep_GivesEqualTokens() =>
        Sut.Draw(3, 41, 4, 10).Ids.ShouldBe(Sut.Draw(3, 41, 4, 10).Ids);

    [Fact]
    public void Draw_OtherSeedOrStep_GivesOtherTokens()
    {
        long[] ids = Sut.Draw(3, 41, 4, 10).Ids;
        Sut.Draw(4, 41, 4, 10).Ids.ShouldNotBe(ids);
        Sut.Draw(3, 42, 4, 10).Ids.ShouldNotBe(ids);
    }

    [Fact]
    public void Draw_ManyRows_ReachesBothEndsOfTheSplit()
    {
        TokenBatch batch = Sut.Draw(1, 0, 20_000, 10);
        batch.Ids.Min().ShouldBe(0);
        batch.Ids.Max().ShouldBe(999);
    }

    [Fact]
    public void Spread_SeveralRows_AreEvenFromFirstToLastToken()
    {
        TokenBatch batch = Sut.Spread(4, 10);
        new[] { batch.Row(0)[0], batch.Row(1)[0], batch.Row(2)[0], batch.Row(3)[0] }.ShouldBe([0, 330, 660, 990]);
        batch.Row(3)[9].ShouldBe(999);
    }

    [Fact]
    public void Slice_MiddleRows_HasTheirTokens()
    {
        TokenBatch batch = Sut.Spread(4, 10), slice = batch.Slice(1, 2);
        slice.Rows.ShouldBe(2);
        slice.Row(1).ToArray().ShouldBe(batch.Row(2).ToArray());
    }
}
