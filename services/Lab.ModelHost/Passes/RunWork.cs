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
    private readonly TaskCompletionSource<PassResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SharedPass? _pass;
    private PlannedTaps? _taps;

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
        Shape = new PassShape(PassKind.Run, plan.Forward.NeedsTwin ? 2 * Batch.Count : Batch.Count, Batch.Length)
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
        _taps = new PlannedTaps(_plan.Forward, _plan.Order.DataType, _send);
        return new PassMember(_taps.Rows)
        {
            Tap = _taps.Tap,
            Edits = _taps.Edits,
            Logits = _plan.Order.Logits switch
            {
                LogitsSelection.None => LogitSelection.None,
                LogitsSelection.Last => _taps.LastTokens,
                _ => _taps.AllTokens,
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
        if (_plan.Order.Logits == LogitsSelection.All) logits = Masked(logits.view(Batch.Count, Batch.Length, -1)); // (B, T, V)
        _send(logits.ToFiniteHost(RunPlan.LogitsName, _plan.Order.DataType));
    }

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        Dispose();
        if (failure is OperationCanceledException) _result.TrySetCanceled(Token.IsCancellationRequested ? Token : _pass!.Stopping);
        else if (failure is not null) _result.TrySetException(failure);
        else
        {
            _result.TrySetResult(new PassResult(_taps!.FireCounts, _time.GetElapsedTime(_submitted, _pass!.Started), elapsed, _pass.Requests, _pass.Rows)
            {
                EditFireCounts = _taps.EditFireCounts,
            });
        }

        return false;
    }

    public override void Abandon(Exception reason)
    {
        if (reason is OperationCanceledException cancelled) _result.TrySetCanceled(cancelled.CancellationToken);
        else _result.TrySetException(reason);
    }

    public override void Dispose() => _taps?.Dispose();

    /// <summary>Zero in padding: [rows, pos, d_vocab].</summary>
    private Tensor Masked(Tensor logits)
    {
        if (Batch.Lengths.All(length => length == Batch.Length)) return logits;
        Tensor lengths = tensor([.. Batch.Lengths.Select(length => (long)length)], device: logits.device);   // (B)
        Tensor padding = arange(Batch.Length, device: logits.device).unsqueeze(0) >= lengths.unsqueeze(1);   // (B, T)
        return logits.masked_fill(padding.unsqueeze(-1), 0);
    }
}
