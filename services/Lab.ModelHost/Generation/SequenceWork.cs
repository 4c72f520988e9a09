using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.ModelHost.Generation;

/// <summary>
/// A generation on its way through the scheduler: the pass over the prompt, then a pass over each new token. Interventions, captures
/// and edits hold for a token in the pass that processes it; its keys and values stay as that pass left them.
/// </summary>
internal sealed class SequenceWork : PassWork
{
    private readonly ResidentModel _model;
    private readonly GenerationPlan _plan;
    private readonly Action _begun;
    private readonly Action<GenerationEvent> _send;
    private readonly TimeProvider _time;
    private readonly TimeBudget _budget;
    private readonly TokenSampler _sampler;
    private readonly TextAssembler _text;
    private readonly long _submitted;
    private readonly int[] _fireCounts;
    private readonly int[] _editFireCounts;
    private readonly TaskCompletionSource<GenerationResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SequenceCache[] _caches = [];
    private ForwardPlan _next;
    private PassShape _shape;
    private PlannedTaps? _taps;
    private SharedPass? _pass;
    private TimeSpan _queueTime;
    private GenerationEnd? _end;
    private int _passes;
    private int _last;
    private int _requests;

    /// <param name="model">The model.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="begun">Called on the model's thread when the first pass begins.</param>
    /// <param name="send">Gets what it gives, on the model's thread; must not wait.</param>
    /// <param name="time">The clock.</param>
    /// <param name="token">Ends it.</param>
    public SequenceWork(ResidentModel model, GenerationPlan plan, Action begun, Action<GenerationEvent> send, TimeProvider time, CancellationToken token)
        : base(plan.Order.Prefill.Priority, token)
    {
        (_model, _plan, _begun, _send, _time, _submitted) = (model, plan, begun, send, time, time.GetTimestamp());
        _budget = new TimeBudget(plan.Order.Prefill.Limits.MaxTime, time);
        _sampler = new TokenSampler(plan.Order.Sampling);
        _text = new TextAssembler(model.Tokenizer, plan.Order.StopTexts);
        (_fireCounts, _editFireCounts) = (new int[plan.Order.Prefill.Interventions.Count], new int[plan.Order.Prefill.Edits.Count]);
        _next = plan.Prefill.Forward;
        _shape = ShapeOf(PassKind.Prefill, plan.Order.Prompt.Length);
    }

    public override PassShape Shape => _shape;

    /// <summary>How it went.</summary>
    public Task<GenerationResult> Result => _result.Task;

    private GenerationOrder Order => _plan.Order;

    public override PassMember Begin(SharedPass pass)
    {
        _pass = pass;
        _requests = Math.Max(_requests, pass.Requests);
        if (_passes == 0)
        {
            _queueTime = _time.GetElapsedTime(_submitted, pass.Started);
            _caches = [.. Enumerable.Range(0, Shape.Rows).Select(_ => new SequenceCache(_model.Transformer, Order.Reach))];
            _begun();
        }

        int? step = _passes == 0 ? null : _passes - 1;
        _taps = new PlannedTaps(_next, Order.Prefill.DataType, tensor => _send(new GenerationEvent(step, tensor, null)));
        return new PassMember(_taps.Rows)
        {
            Caches = _caches,
            Tap = _taps.Tap,
            Edits = _taps.Edits,
            Logits = _taps.LastTokens,
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
        HostTensor copy = logits!.ToFiniteHost(RunPlan.LogitsName, TensorDataType.Float32);
        (int id, float logProbability, IReadOnlyList<(int Id, float LogProbability)> top) = _sampler.Pick(copy.Floats, Order.TopLogprobs);
        string text = _text.Add(id);
        _end = Order.StopTokens.Contains(id) ? GenerationEnd.StopToken
            : _text.HasStop(text) ? GenerationEnd.StopText
            : _passes + 1 == Order.MaxNewTokens ? GenerationEnd.MaxNewTokens
            : null;
        if (_end is not null) text += _text.End();
        _send(new GenerationEvent(null, null, new GeneratedToken(_passes, id, logProbability, text, top)));
        _last = id;
        if (_end is null) RequireTokens();
    }

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        _budget.Add(elapsed);
        Count(_fireCounts, _taps?.FireCounts);
        Count(_editFireCounts, _taps?.EditFireCounts);
        _taps?.Dispose();
        if (failure is null && _end is null)
        {
            // A twin's clean rows come first, and are of no more use.
            foreach (SequenceCache clean in _caches.SkipLast(1)) clean.Dispose();
            _caches = [_caches[^1]];
            StepPosition at = new(Order.Prompt.Length + _passes, _passes++);
            _next = _plan.Prefill.Forward.AtStep(new TokenBatch(_model.Config, [[_last]]), at);
            _shape = ShapeOf(PassKind.Decode, 1);
            return true;
        }

        Dispose();
        if (failure is OperationCanceledException) _result.TrySetCanceled(Token.IsCancellationRequested ? Token : _pass!.Stopping);
        else if (failure is not null) _result.TrySetException(failure);
        else _result.TrySetResult(new GenerationResult(_end!.Value, _text.Text, _fireCounts, _editFireCounts, _queueTime, _budget.Spent, _requests));
        return false;
    }

    public override void Abandon(Exception reason)
    {
        if (reason is OperationCanceledException cancelled) _result.TrySetCanceled(cancelled.CancellationToken);
        else _result.TrySetException(reason);
    }

    public override void Dispose()
    {
        _taps?.Dispose();
        foreach (SequenceCache cache in _caches) cache.Dispose();
        _caches = [];
    }

    private PassShape ShapeOf(PassKind kind, int length) => new(kind, kind == PassKind.Prefill ? _plan.PromptRows : 1, length)
    {
        NeedsScores = CoBatch.NeedsScores(_next),
        IsAlone = !CoBatch.CanShare(_next),
    };

    /// <summary>Requires that another token is within the budget.</summary>
    private void RequireTokens()
    {
        int tokens = Order.Prompt.Length + _passes + 2;
        long most = Order.Prefill.Limits.MaxTokens;
        if (most > 0 && tokens > most) throw new ResourceExhaustedException("TOKEN_BUDGET_EXCEEDED", $"Another token would be the {tokens}th; the budget is {most}.");
    }

    private static void Count(int[] sums, IReadOnlyList<int>? counts)
    {
        for (int i = 0; i < (counts?.Count ?? 0); i++) sums[i] += counts![i];
    }
}
