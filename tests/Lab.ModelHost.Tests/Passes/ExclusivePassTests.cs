using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ModelHost.Tests.Passes;

public sealed class ExclusivePassTests(HostedLab lab) : IClassFixture<HostedLab>
{
    [Theory]
    [InlineData(0, true)]
    [InlineData(2000, true)]
    [InlineData(1999, false)]
    public async Task End_TimeBudget_StopsTheWorkWhenItIsSpent(int milliseconds, bool isEnough)
    {
        FakeTimeProvider time = new();
        ModelLease lease = await lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(HostedLab.ModelName, "model", TestContext.Current.CancellationToken);
        await using ExclusivePass<int> pass = new(
            lease,
            time,
            new RequestLimits(0, 0, TimeSpan.FromMilliseconds(milliseconds)),
            (_, token) =>
            {
                time.Advance(TimeSpan.FromMilliseconds(1999.5));
                token.ThrowIfCancellationRequested();
                return 7;
            },
            TestContext.Current.CancellationToken);

        if (isEnough) (await pass.EndAsync()).Result.ShouldBe(7);
        else (await Should.ThrowAsync<ResourceExhaustedException>(pass.EndAsync)).Reason.ShouldBe("TIME_BUDGET_EXCEEDED");
    }

    [Fact]
    public async Task Dispose_WorkThatRuns_CancelsItAndEndsTheLease()
    {
        ModelLease lease = await lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(HostedLab.ModelName, "model", TestContext.Current.CancellationToken);
        ResidentModel model = lease.Model;
        ExclusivePass<int> pass = new(
            lease,
            TimeProvider.System,
            default,
            (_, token) =>
            {
                token.WaitHandle.WaitOne();
                token.ThrowIfCancellationRequested();
                return 0;
            },
            CancellationToken.None);
        await pass.BeginAsync();

        await pass.DisposeAsync();

        await Should.ThrowAsync<OperationCanceledException>(pass.EndAsync);
        model.LeaseCount.ShouldBe(0);
    }
}
