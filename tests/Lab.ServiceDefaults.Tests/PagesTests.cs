using Lab.ServiceDefaults.Errors;

namespace Lab.ServiceDefaults.Tests;

public sealed class PagesTests
{
    private static readonly DateTimeOffset Time = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void Take_ItemsThatComeAndGoBetweenPages_ShiftNothing()
    {
        (IReadOnlyList<string> first, string token) = Take(["b", "d", "f", "h"], 2);
        (IReadOnlyList<string> second, string next) = Take(["a", "b", "c", "e", "f", "h"], 2, token);
        (IReadOnlyList<string> third, string last) = Take(["h"], 2, next);

        first.Concat(second).Concat(third).ShouldBe(["b", "d", "e", "f", "h"]);
        last.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(0, 50)]
    [InlineData(7, 7)]
    [InlineData(1000, 1000)]
    [InlineData(1001, 1000)]
    public void Take_Size_IsBounded(int pageSize, int expected) =>
        Take([.. Enumerable.Range(0, 1200).Select(i => $"{i:d4}")], pageSize).Items.Count.ShouldBe(expected);

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Take_AllOnOnePage_HasNoNext(int pageSize) => Take(["a", "b"], pageSize).NextPageToken.ShouldBeEmpty();

    [Fact]
    public void Take_NegativeSize_NamesTheField() =>
        Should.Throw<InvalidRequestException>(() => Take([], -1)).Violations.ShouldHaveSingleItem().Field.ShouldBe("page_size");

    [Theory]
    [InlineData("?")]
    [InlineData("x")]
    [InlineData("bm90IGEgdG9rZW4")]
    public void Take_TokenThatIsNone_NamesTheField(string token) =>
        Should.Throw<InvalidRequestException>(() => Take(["a"], 1, token)).Violations.ShouldHaveSingleItem().Field.ShouldBe("page_token");

    [Fact]
    public void Take_TokenOfAnotherList_IsRefused()
    {
        string token = Pages.Take("artifacts model", ["a", "b"], item => item, 1, "").NextPageToken;

        Should.Throw<InvalidRequestException>(() => Pages.Take("artifacts report", ["a", "b"], item => item, 1, token));
    }

    [Fact]
    public void NewestFirst_Keys_AreInOrderOfTimeThenId()
    {
        string[] keys = [Pages.NewestFirst(Time.AddYears(50), "a"), Pages.NewestFirst(Time, "a"), Pages.NewestFirst(Time, "b"), Pages.NewestFirst(Time.AddTicks(-1), "a")];

        keys.ShouldBe(keys.Order(StringComparer.Ordinal));
    }

    private static (IReadOnlyList<string> Items, string NextPageToken) Take(IReadOnlyList<string> items, int pageSize, string pageToken = "") =>
        Pages.Take("items", items, item => item, pageSize, pageToken);
}
