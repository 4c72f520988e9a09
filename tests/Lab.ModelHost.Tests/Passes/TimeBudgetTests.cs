using Lab.ModelHost.Passes;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ModelHost.Tests.Passes;

public sealed class TimeBudgetTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Require_TimeOfSeveralPasses_AddsUp()
    {
        TimeBudget budget = new(TimeSpan.FromSeconds(3), _time);
        budget.Add(TimeSpan.FromSeconds(2));
        long started = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromSeconds(1));

        budget.Require(started);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        Should.Throw<ResourceExhaustedException>(() => budget.Require(started)).Reason.ShouldBe("TIME_BUDGET_EXCEEDED");
    }

    [Fact]
    public void Require_NoLimit_NeverThrows()
    {
        TimeBudget budget = new(TimeSpan.Zero, _time);
        long started = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromDays(1));

        Should.NotThrow(() => budget.Require(started));
    }
}
