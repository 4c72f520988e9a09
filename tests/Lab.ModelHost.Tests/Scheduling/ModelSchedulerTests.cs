using Lab.ModelHost.Scheduling;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Tests.Scheduling;

public sealed class ModelSchedulerTests : SchedulerFixture
{
    [Fact]
    public async Task Submit_RequestsThatFit_ShareAPass()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork[] works = [Work("a"), Work("b", 40), Work("c", 3), Work("d", isAlone: true)];
        foreach (FakeWork work in works) scheduler.Submit(work);

        await RunAllAsync(works);

        // b is so long that padding a and c to it would cost more than a pass of its own.
        Passes.ShouldBe([["a", "c"], ["b"], ["d"]]);
        works[0].Pass!.Requests.ShouldBe(2);
    }

    [Fact]
    public async Task Submit_MoreThanABatch_GoesOnInTheNext()
    {
        ModelScheduler scheduler = NewScheduler(new ModelHostOptions { MaxBatchTokens = 4 });
        FakeWork[] works = [Work("a"), Work("b"), Work("c"), Work("d", 50)];
        foreach (FakeWork work in works) scheduler.Submit(work);

        await RunAllAsync(works);

        Passes.ShouldBe([["a", "b"], ["c"], ["d"]]);
    }

    [Fact]
    public async Task Submit_Priorities_GoFirstUntilOthersHaveWaited()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork old = Work("low, old", priority: WorkPriority.Low, isAlone: true);
        scheduler.Submit(old);
        Time.Advance(2.5 * ModelScheduler.Aging);
        FakeWork[] works =
        [
            Work("low", priority: WorkPriority.Low, isAlone: true), Work("normal", isAlone: true), Work("high", priority: WorkPriority.High, isAlone: true), old,
        ];
        foreach (FakeWork work in works[..3]) scheduler.Submit(work);

        await RunAllAsync(works);

        Passes.Select(pass => pass.Single()).ShouldBe(["low, old", "high", "normal", "low"]);
    }

    [Fact]
    public async Task Submit_SequencesAndRuns_TakeTurns()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork first = Work("s", 1, passes: 4), second = Work("t", 1, passes: 2);
        FakeWork[] runs = [.. Enumerable.Range(0, 3).Select(i => Work($"{i}", isAlone: true))];
        foreach (FakeWork work in (FakeWork[])[first, second, .. runs]) scheduler.Submit(work);

        await RunAllAsync([first, second, .. runs]);

        Passes.Select(pass => string.Concat(pass)).ShouldBe(["st", "st", "0", "s", "1", "s", "2"]);
    }

    [Fact]
    public async Task Submit_FullQueue_SaysWhenToTryAgain()
    {
        ModelScheduler scheduler = NewScheduler(new ModelHostOptions { QueueCapacity = 2 });
        FakeWork[] works = [Work("a"), Work("b")];
        foreach (FakeWork work in works) scheduler.Submit(work);

        ResourceExhaustedException e = Should.Throw<ResourceExhaustedException>(() => scheduler.Submit(Work("c")));

        e.Reason.ShouldBe("WORKER_BUSY");
        e.RetryAfter.ShouldNotBeNull().ShouldBeGreaterThan(TimeSpan.Zero);
        scheduler.State.Length.ShouldBe(2);
        await RunAllAsync(works);
        scheduler.Submit(works[0] = Work("d"));
        await works[0].Ended;
    }

    [Fact]
    public async Task Submit_TooManyTokens_IsRefusedUnlessNothingWaits()
    {
        ModelScheduler scheduler = NewScheduler(new ModelHostOptions { MaxQueuedTokens = 10 });
        FakeWork large = Work("large", 50);
        scheduler.Submit(large);

        Should.Throw<ResourceExhaustedException>(() => scheduler.Submit(Work("small", 1))).Reason.ShouldBe("WORKER_BUSY");
        await RunAllAsync(large);
    }

    [Fact]
    public async Task State_WaitingWork_IsEstimatedFromTheSpeedSoFar()
    {
        ModelScheduler scheduler = NewScheduler();
        TimeSpan empty = scheduler.State.Wait;
        FakeWork[] works = [Work("a", 40), Work("b", 40), Work("low", 60, WorkPriority.Low)];
        foreach (FakeWork work in works) scheduler.Submit(work);

        QueueState state = scheduler.State;

        // Before any pass: 2 x 10^9 operations a token at 5e10 a second. What goes after a new request does not count.
        (empty, state.Length, state.Running).ShouldBe((TimeSpan.Zero, 3, 0));
        state.Wait.TotalSeconds.ShouldBe(80 * 2e9 / 5e10, 1e-6);
        works[0].Took = TimeSpan.FromSeconds(4);
        works[1].Took = works[2].Took = TimeSpan.Zero;
        await RunAllAsync(works);
    }

    [Fact]
    public async Task Cancel_WaitingRequest_LeavesTheQueueAtOnceAndIsReleased()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork waiting = Work("a"), other = Work("b");
        scheduler.Submit(waiting);
        scheduler.Submit(other);

        await waiting.Cancel.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => waiting.Ended);
        scheduler.State.Length.ShouldBe(1);
        await RunAllAsync(other);
        Passes.ShouldBe([["b"]]);
        await waiting.Released;
    }

    [Fact]
    public async Task Cancel_SequenceBetweenPasses_EndsAndIsReleased()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork sequence = Work("s", 1, passes: int.MaxValue), other = Work("t", 1, passes: 20);
        sequence.AfterPass = pass => { if (pass == 5) sequence.Cancel.Cancel(); };
        scheduler.Submit(sequence);
        scheduler.Submit(other);

        await RunAllAsync(other);

        await Should.ThrowAsync<OperationCanceledException>(() => sequence.Ended);
        await sequence.Released;
        Passes.Count(pass => pass.Contains("s")).ShouldBe(5);
        Passes.Count.ShouldBe(20);
    }

    [Fact]
    public async Task Submit_RequestThatFails_EndsAloneWhateverItThrows()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork good = Work("good"), atBegin = Work("begin"), inPass = Work("pass"), atEnd = Work("end");
        atBegin.OnBegin = () => throw new InvalidOperationException("begin");
        inPass.OnHook = () => throw new InvalidOperationException("pass");
        atEnd.OnAccept = () => throw new InvalidOperationException("end");
        foreach (FakeWork work in (FakeWork[])[atBegin, inPass, good, atEnd]) scheduler.Submit(work);

        await RunAllAsync(good);

        foreach ((FakeWork work, string message) in (IEnumerable<(FakeWork, string)>)[(atBegin, "begin"), (inPass, "pass"), (atEnd, "end")])
            (await Should.ThrowAsync<InvalidOperationException>(() => work.Ended)).Message.ShouldBe(message);
        scheduler.State.ShouldBe(new QueueState(0, 0, TimeSpan.Zero));
    }

    [Fact]
    public async Task Submit_RequestThatFailsToEnd_FailsAloneAndIsReleased()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork before = Work("before"), broken = Work("broken"), after = Work("after"), next = Work("next", isAlone: true);
        broken.AfterPass = _ => throw new InvalidOperationException("end");
        FakeWork[] works = [before, broken, after, next];
        foreach (FakeWork work in works) scheduler.Submit(work);

        await RunAllAsync(before, after, next);

        (await Should.ThrowAsync<InvalidOperationException>(() => broken.Ended)).Message.ShouldBe("end");
        await broken.Released;
        Passes.ShouldBe([["before", "broken", "after"], ["next"]]);
        scheduler.State.ShouldBe(new QueueState(0, 0, TimeSpan.Zero));
    }

    [Fact]
    public async Task Dispose_WorkerWithWaitingRequests_LeavesNobodyWaiting()
    {
        ModelScheduler scheduler = NewScheduler();
        FakeWork waiting = Work("a");
        scheduler.Submit(waiting);

        Task end = Worker.DisposeAsync().AsTask();
        Gate.Set();
        await end;

        await Should.ThrowAsync<OperationCanceledException>(() => waiting.Ended);
    }
}
