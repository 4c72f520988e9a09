using Lab.Models;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>A plan as one pass sees it: the rows that run, and the tap that changes and captures. Used on the model's thread.</summary>
internal sealed class PlannedTaps : IDisposable
{
    private readonly ForwardPlan _plan;
    private readonly InterventionTap _interventions;
    private readonly WeightEdits? _edits;

    /// <param name="plan">The plan.</param>
    /// <param name="type">The type of what is captured.</param>
    /// <param name="send">Gets what is captured; must not wait.</param>
    public PlannedTaps(ForwardPlan plan, TensorDataType type, Action<HostTensor> send)
    {
        _plan = plan;
        _interventions = new InterventionTap(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
        if (plan.Edits.Count > 0) _edits = new WeightEdits(plan.Edits, plan.Batch.Count, plan.NeedsTwin);
        bool isIdle = plan.Captures.Count + plan.Interventions.Count == 0;
        Tap = isIdle ? null : new ForwardTap(_interventions, new CaptureTap(plan.Captures, type, send, plan.NeedsTwin), CancellationToken.None);
    }

    /// <summary>The rows: twice where the plan needs a twin, the changed ones last.</summary>
    public IReadOnlyList<int[]> Rows => _plan.NeedsTwin ? _plan.Batch.Twice().Rows : _plan.Batch.Rows;

    /// <summary>The tap; null if it would do nothing.</summary>
    public IActivationTap? Tap { get; }

    /// <summary>The changes to parameters; null for none.</summary>
    public IWeightEdits? Edits => _edits;

    /// <summary>For each weight edit, to how many tokens it applied.</summary>
    public IReadOnlyList<int> EditFireCounts => _edits?.FireCounts ?? [];

    /// <summary>For each intervention, how many hook visits it changed.</summary>
    public IReadOnlyList<int> FireCounts => _interventions.FireCounts;

    /// <summary>The tokens at the end of each row, as indices into the rows flattened to [rows x pos]; of a twin the changed ones.</summary>
    public LogitSelection LastTokens =>
        new([.. _plan.Batch.Lengths.Select((length, row) => ((FirstRow + row) * _plan.Batch.Length) + length - 1)]);

    /// <summary>All tokens; of a twin the changed ones.</summary>
    public LogitSelection AllTokens => !_plan.NeedsTwin
        ? LogitSelection.All
        : new LogitSelection([.. Enumerable.Range(0, _plan.Batch.Count * _plan.Batch.Length).Select(token => (FirstRow * _plan.Batch.Length) + token)]);

    private long FirstRow => _plan.NeedsTwin ? _plan.Batch.Count : 0;

    public void Dispose() => _interventions.Dispose();
}
