using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.ModelHost.Passes;

/// <summary>A planned run on its way through the scheduler.</summary>
internal sealed class RunWork : PassWork
{
    private readonly RunPlan _plan;
    private readonly Action _begun;
    private readonly Action<HostTensor> _send;
    private readonly TimeProvider _time;
    private readonly TimeBudget _budget;
    private readonly long _submitted;
    private readonly InterventionTap _interventions;
    private readonly TaskCompletionSource<PassResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SharedPass? _pass;

    /// <param name="plan">What to do.</param>
    /// <param name="begun">Called on the model's thread when the pass begins.</param>
    /// <param name="send">Gets each tensor on the model's thread as soon as it is captured; must not wait.</param>
    /// <param name="time">The clock.</param>
    /// <param name="token">Ends it.</param>
    public RunWork(RunPlan plan, Action begun, Action<HostTensor> send, TimeProvider time, CancellationToken token)
        : base(plan.Order.Priority, token)
    {
        (_plan, _begun, _send, _time, _submitted) = (plan, begun, send, time, time.GetTimestamp());
        _budget = new TimeBudget(plan.Order.Limits.MaxTime, time);
        _interventions = new InterventionTap(plan.Forward.Interventions, Batch.Lengths);
        Shape = new PassShape(PassKind.Run, Batch.Count, Batch.Length)
        {
            NeedsScores = CoBatch.NeedsScores(plan.Forward),
            IsAlone = !CoBatch.CanShare(plan.Forward),
        };
    }

    public override PassShape Shape { get; }

    /// <summary>What it gave.</summary>
    public Task<PassResult> Result => _result.Task;

    private TokenBatch Batch => _plan.Forward.Batch;

    public override PassMember Begin(SharedPass pass)
    {
        _pass = pass;
        _begun();
        bool isIdle = _plan.Forward.Captures.Count + _plan.Forward.Interventions.Count == 0;
        return new PassMember(Batch.Rows)
        {
            Tap = isIdle ? null : new ForwardTap(_interventions, new CaptureTap(_plan.Forward.Captures, _plan.Order.DataType, _send), CancellationToken.None),
            Logits = _plan.Order.Logits switch
            {
                LogitsSelection.None => LogitSelection.None,
                LogitsSelection.Last => new LogitSelection([.. Batch.Lengths.Select((length, row) => ((long)row * Batch.Length) + length - 1)]),
                _ => LogitSelection.All,
            },
            Check = () =>
            {
                Token.ThrowIfCancellationRequested();
                pass.Stopping.ThrowIfCancellationRequested();
                _budget.Require(pass.Started);
            },
        };
    }

    public override void Accept(Tensor? logits)
    {
        Token.ThrowIfCancellationRequested();
        if (logits is null) return;
        bool isPadded = _plan.Order.Logits == LogitsSelection.All && Batch.Lengths.Any(length => length != Batch.Length);
        HostTensor copy = (isPadded ? Masked(logits) : logits).ToHost(RunPlan.LogitsName, _plan.Order.DataType);
        FiniteCheck.Require(copy);
        _send(copy);
    }

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        if (failure is OperationCanceledException) _result.TrySetCanceled(Token.IsCancellationRequested ? Token : _pass!.Stopping);
        else if (failure is not null) _result.TrySetException(failure);
        else _result.TrySetResult(new PassResult(_interventions.FireCounts, _time.GetElapsedTime(_submitted, _pass!.Started), elapsed, _pass.Requests, _pass.Rows));
        return false;
    }

    public override void Abandon(Exception reason)
    {
        if (reason is OperationCanceledException cancelled) _result.TrySetCanceled(cancelled.CancellationToken);
        else _result.TrySetException(reason);
    }

    /// <summary>Zero in padding: [rows, pos, d_vocab].</summary>
    private Tensor Masked(Tensor logits)
    {
        Tensor lengths = tensor([.. Batch.Lengths.Select(length => (long)length)], device: logits.device);   // (B)
        Tensor padding = arange(Batch.Length, device: logits.device).unsqueeze(0) >= lengths.unsqueeze(1);   // (B, T)
        return logits.masked_fill(padding.unsqueeze(-1), 0);
    }
}
