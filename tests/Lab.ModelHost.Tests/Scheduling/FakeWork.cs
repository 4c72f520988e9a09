using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Batching;
using TorchSharp;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>A request that writes down its passes.</summary>
internal sealed class FakeWork(PassLog log, string name, PassShape shape, WorkPriority priority, int count, CancellationTokenSource cancel) : PassWork(priority, cancel.Token)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _pass;

    public override PassShape Shape => shape;

    public CancellationTokenSource Cancel { get; } = cancel;

    public Task Ended => _ended.Task;

    public Task Released => _released.Task;

    public SharedPass? Pass { get; private set; }

    public TimeSpan Took { get; set; } = TimeSpan.FromSeconds(1);

    public Action OnBegin { get; set; } = () => { };

    public Action OnHook { get; set; } = () => { };

    public Action OnAccept { get; set; } = () => { };

    public Action<int> AfterPass { get; set; } = _ => { };

    public override PassMember Begin(SharedPass pass)
    {
        OnBegin();
        Pass = pass;
        log.Add(pass, name, Took);
        return new PassMember([.. Enumerable.Range(0, shape.Rows).Select(_ => new int[shape.Length])]) { Logits = LogitSelection.None, Check = OnHook };
    }

    public override void Accept(torch.Tensor? logits) => OnAccept();

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        AfterPass(++_pass);
        if (failure is null && _pass < count) return true;
        if (failure is null) _ended.SetResult();
        else _ended.SetException(failure);
        return false;
    }

    public override void Abandon(Exception reason) => _ended.SetException(reason);

    public override void Dispose() => _released.SetResult();
}
