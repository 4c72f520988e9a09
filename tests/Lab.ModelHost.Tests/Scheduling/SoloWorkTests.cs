using Lab.ModelHost.Scheduling;

namespace Lab.ModelHost.Tests.Scheduling;

public sealed class SoloWorkTests : SchedulerFixture
{
    [Fact]
    public async Task Submit_WorkThatRunsAlone_IsOrderedCountedAndSharesNothing()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork[] runs = [Work("a"), Work("b"), Work("low", priority: WorkPriority.Low)];
        FakeSolo normal = Solo("solo"), high = Solo("high solo", WorkPriority.High), broken = Solo("broken solo", WorkPriority.High);
        broken.OnRun = () => throw new InvalidOperationException("solo");
        foreach (ModelWork work in (ModelWork[])[runs[0], normal, runs[1], runs[2], high, broken]) scheduler.Submit(work);
        QueueState state = scheduler.State;

        await RunAllAsync(runs);

        await normal.Ended;
        await high.Ended;
        (await Should.ThrowAsync<InvalidOperationException>(() => broken.Ended)).Message.ShouldBe("solo");
        Passes.ShouldBe([["high solo"], ["broken solo"], ["a", "b", "low"], ["solo"]]);
        // Two runs of two tokens, and three times two passes over two tokens; the run of low priority comes later than a new request.
        (state.Length, state.Wait.TotalSeconds).ShouldBe((6, 0.64));
    }

    [Fact]
    public async Task Cancel_WaitingWorkThatRunsAlone_LeavesTheQueueAtOnce()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeSolo waiting = Solo("solo");
        FakeWork other = Work("a");
        scheduler.Submit(waiting);
        scheduler.Submit(other);

        await waiting.Cancel.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => waiting.Ended);
        scheduler.State.Length.ShouldBe(1);
        await RunAllAsync(other);
        Passes.ShouldBe([["a"]]);
    }

    [Fact]
    public async Task State_WorkThatEndedEarly_SaysNothingOfTheSpeed()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeSolo broken = Solo("solo");
        broken.OnRun = () => throw new InvalidOperationException("solo");
        scheduler.Submit(broken);
        Gate.Set();
        await Should.ThrowAsync<InvalidOperationException>(() => broken.Ended);
        // The turn itself ends a little later than who waits for it hears.
        await Worker.RunAsync(_ => { }, TestContext.Current.CancellationToken);
        Block();

        FakeWork next = Work("a", 40);
        scheduler.Submit(next);

        scheduler.State.Wait.TotalSeconds.ShouldBe(40 * 2e9 / 5e10, 1e-6);
        await RunAllAsync(next);
    }
}
