using Lab.ModelHost.Scheduling;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>Work that runs alone, two passes over two tokens, and writes that down.</summary>
internal sealed class FakeSolo(PassLog log, string name, WorkPriority priority, CancellationTokenSource cancel) : SoloWork(priority, cancel.Token)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override PassShape Shape { get; } = new(PassKind.Run, 1, 2) { IsAlone = true, MorePasses = 1 };

    public CancellationTokenSource Cancel { get; } = cancel;

    public Task Ended => _ended.Task;

    public Action OnRun { get; set; } = () => { };

    public override void Run(SharedPass pass)
    {
        log.Add(pass, name, TimeSpan.FromSeconds(1));
        OnRun();
    }

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        if (failure is null) _ended.SetResult();
        else _ended.SetException(failure);
        return false;
    }

    public override void Abandon(Exception reason) => _ended.SetException(reason);

    public override void Dispose()
    {
    }
}
