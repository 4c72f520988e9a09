using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.ModelHost.Tests.Scheduling;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ModelHost.Tests.Passes;

public sealed class ExclusiveWorkTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static readonly PassShape Shape = new(PassKind.Run, 1, 3);

    private static ActivePass<ExclusiveResult<int>> Start(ModelLease lease, TimeProvider time, TimeSpan maxTime, Func<Action<HostTensor>, CancellationToken, int> job)
    {
        RunOrder order = HostedLab.Request([1, 2, 3]).ToOrder(lease.Model) with { Limits = new RequestLimits(0, 0, maxTime) };
        return new PassRunner(time).Start(lease, Shape, order, job, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(2000, true)]
    [InlineData(1999, false)]
    public async Task End_TimeBudget_StopsTheWorkWhenItIsSpent(int milliseconds, bool isEnough)
    {
        FakeTimeProvider time = new();
        await using ActivePass<ExclusiveResult<int>> pass = Start(
            await lab.LeaseAsync(),
            time,
            TimeSpan.FromMilliseconds(milliseconds),
            (_, token) =>
            {
                time.Advance(TimeSpan.FromMilliseconds(1999.5));
                token.ThrowIfCancellationRequested();
                return 7;
            });

        if (isEnough) (await pass.EndAsync()).Value.ShouldBe(7);
        else (await Should.ThrowAsync<ResourceExhaustedException>(pass.EndAsync)).Reason.ShouldBe("TIME_BUDGET_EXCEEDED");
    }

    [Fact]
    public async Task Dispose_WorkThatRuns_CancelsItAndEndsTheLease()
    {
        ModelLease lease = await lab.LeaseAsync();
        ResidentModel model = lease.Model;
        ActivePass<ExclusiveResult<int>> pass = Start(
            lease,
            TimeProvider.System,
            TimeSpan.Zero,
            (_, token) =>
            {
                token.WaitHandle.WaitOne();
                token.ThrowIfCancellationRequested();
                return 0;
            });
        await pass.BeginAsync();

        await pass.DisposeAsync();

        await Should.ThrowAsync<OperationCanceledException>(pass.EndAsync);
        model.LeaseCount.ShouldBe(0);
    }

    [Fact]
    public async Task Job_ThatFails_FailsTheWorkAndNothingElse()
    {
        ModelLease lease = await lab.LeaseAsync();
        ActivePass<ExclusiveResult<int>> pass = Start(lease, TimeProvider.System, TimeSpan.Zero, (_, _) => throw new InvalidOperationException("job"));

        (await Should.ThrowAsync<InvalidOperationException>(pass.EndAsync)).Message.ShouldBe("job");
        await using ActivePass<ExclusiveResult<int>> next = Start(await lab.LeaseAsync(), TimeProvider.System, TimeSpan.Zero, (_, _) => 7);
        (await next.EndAsync()).Value.ShouldBe(7);
    }
}
