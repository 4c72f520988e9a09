using Lab.ModelHost.Passes;
using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.Models.Statistics;
using static TorchSharp.torch;

namespace Lab.ModelHost.Statistics;

/// <summary>One batch of statistics on its way through the scheduler. It shares no pass: a large batch would slow a small request down.</summary>
internal sealed class StatisticsWork : PassWork
{
    private readonly StatisticsOrder _order;
    private readonly StatisticsPlan _plan;
    private readonly IReadOnlyDictionary<string, ActivationStatistics> _statistics;
    private readonly TimeBudget _budget;
    private readonly int? _stopAtLayer;
    private readonly TaskCompletionSource<StatisticsPass> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SharedPass? _pass;
    private InterventionTap? _interventions;
    private WeightEdits? _edits;

    /// <param name="order">What is measured.</param>
    /// <param name="plan">The batch.</param>
    /// <param name="statistics">What to add to, by hook; on the model's thread.</param>
    /// <param name="budget">The time that is left, of all batches together.</param>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="token">Ends it.</param>
    public StatisticsWork(
        StatisticsOrder order, StatisticsPlan plan, IReadOnlyDictionary<string, ActivationStatistics> statistics, TimeBudget budget, HookCatalog hooks, CancellationToken token)
        : base(order.Priority, token)
    {
        (_order, _plan, _statistics, _budget, _stopAtLayer) = (order, plan, statistics, budget, plan.StopAtLayer(hooks));
        TokenBatch batch = plan.Forward.Batch;
        Shape = new PassShape(PassKind.Run, plan.Forward.NeedsTwin ? 2 * batch.Count : batch.Count, batch.Length)
        {
            NeedsScores = CoBatch.NeedsScores(plan.Forward),
            IsAlone = true,
        };
    }

    public override PassShape Shape { get; }

    /// <summary>What it gave.</summary>
    public Task<StatisticsPass> Result => _result.Task;

    public override PassMember Begin(SharedPass pass)
    {
        _pass = pass;
        ForwardPlan plan = _plan.Forward;
        _interventions = new InterventionTap(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
        _edits = plan.Edits.Count == 0 ? null : new WeightEdits(plan.Edits, plan.Batch.Count, plan.NeedsTwin);
        StatisticsTap tap = new(plan.Captures, _statistics, plan.Batch, _order.Filter, _plan.Rows, plan.NeedsTwin, Token);
        return new PassMember(plan.NeedsTwin ? plan.Batch.Twice().Rows : plan.Batch.Rows)
        {
            Tap = new ForwardTap(_interventions, tap, Token),
            Edits = _edits,
            Logits = LogitSelection.None,
            StopAtLayer = _stopAtLayer,
            Check = () =>
            {
                Token.ThrowIfCancellationRequested();
                pass.Stopping.ThrowIfCancellationRequested();
                _budget.Require(pass.Started);
            },
        };
    }

    public override void Accept(Tensor? logits) => Token.ThrowIfCancellationRequested();

    public override bool End(Exception? failure, TimeSpan elapsed)
    {
        Dispose();
        if (failure is OperationCanceledException) _result.TrySetCanceled(Token.IsCancellationRequested ? Token : _pass!.Stopping);
        else if (failure is not null) _result.TrySetException(failure);
        else _result.TrySetResult(new StatisticsPass(_interventions!.FireCounts, _edits?.FireCounts ?? [], elapsed));
        return false;
    }

    public override void Abandon(Exception reason)
    {
        if (reason is OperationCanceledException cancelled) _result.TrySetCanceled(cancelled.CancellationToken);
        else _result.TrySetException(reason);
    }

    public override void Dispose() => _interventions?.Dispose();
}

/// <summary>What one batch gave.</summary>
/// <param name="FireCounts">For each intervention, how many hook visits it changed.</param>
/// <param name="EditFireCounts">For each weight edit, to how many tokens it applied.</param>
/// <param name="Elapsed">Time on the model's thread.</param>
internal sealed record StatisticsPass(IReadOnlyList<int> FireCounts, IReadOnlyList<int> EditFireCounts, TimeSpan Elapsed);
