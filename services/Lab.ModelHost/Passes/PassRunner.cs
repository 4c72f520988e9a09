using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>Runs planned passes.</summary>
internal sealed class PassRunner(TimeProvider time)
{
    /// <summary>Runs a pass, with others' if that is quicker. Cancelled, it stops at the next hook.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="begun">Called on the model's thread when the pass begins.</param>
    /// <param name="send">Gets each tensor on the model's thread as soon as it is captured; must not wait.</param>
    /// <param name="ct">Cancels the pass.</param>
    /// <exception cref="FailedPreconditionException">A number that is to be sent is not finite.</exception>
    /// <exception cref="ResourceExhaustedException">Too many requests wait, or its time is spent.</exception>
    public async Task<PassResult> RunAsync(ResidentModel model, RunPlan plan, Action begun, Action<HostTensor> send, CancellationToken ct)
    {
        RunWork work = new(plan, begun, send, time, ct);
        model.Scheduler.Submit(work);
        try
        {
            return await work.Result;
        }
        catch (NonFiniteActivationException e)
        {
            throw NonFinite(e);
        }
    }

    /// <summary>What a call fails with for a number that is not finite.</summary>
    public static FailedPreconditionException NonFinite(NonFiniteActivationException e) =>
        new("NON_FINITE", e.Message) { Metadata = new Dictionary<string, string> { ["tensor"] = e.Name } };

    /// <summary>Requires that every intervention fired, unless it may not.</summary>
    /// <exception cref="FailedPreconditionException">One did not.</exception>
    public static void RequireFired(IReadOnlyList<Intervention> interventions, IReadOnlyList<int> fireCounts)
    {
        for (int i = 0; i < interventions.Count; i++)
        {
            if (fireCounts[i] == 0 && !interventions[i].AllowUnfired)
            {
                throw new FailedPreconditionException("INTERVENTION_NOT_FIRED", $"interventions[{i}] at '{interventions[i].Selector.Hook}' never fired.");
            }
        }
    }

    /// <summary>Requires that every weight edit applied to a token, unless it need not.</summary>
    /// <exception cref="FailedPreconditionException">One did not.</exception>
    public static void RequireFired(IReadOnlyList<WeightEdit> edits, IReadOnlyList<int> fireCounts)
    {
        for (int i = 0; i < edits.Count; i++)
        {
            if (fireCounts[i] == 0 && !edits[i].AllowUnfired)
                throw new FailedPreconditionException("WEIGHT_EDIT_NOT_FIRED", $"weight_edits[{i}] of '{edits[i].Parameter}' applied to no token.");
        }
    }
}
