using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>Runs planned passes and other work, all of it through the model's scheduler.</summary>
internal sealed class PassRunner(TimeProvider time)
{
    /// <summary>Queues a pass; what it gives can be read meanwhile.</summary>
    /// <param name="lease">Ends with the pass.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="ct">Cancels the pass.</param>
    public ActivePass<PassResult> Start(ModelLease lease, RunPlan plan, CancellationToken ct) => new(
        lease,
        async (begun, send, token) =>
        {
            PassResult result = await RunAsync(lease.Model, plan, begun, send, token);
            RequireFired(plan.Order.Interventions, result.FireCounts);
            RequireFired(plan.Order.Edits, result.EditFireCounts);
            return result;
        },
        ct);

    /// <summary>Queues work that runs alone; what it gives can be read meanwhile.</summary>
    /// <typeparam name="T">What it gives in the end: plain managed data.</typeparam>
    /// <param name="lease">Ends with the work.</param>
    /// <param name="shape">Its rows, and how often it goes over them.</param>
    /// <param name="order">Its priority and its budget of time.</param>
    /// <param name="job">The work: gets where to send tensors, which must not wait, and what cancels it.</param>
    /// <param name="ct">Cancels it.</param>
    public ActivePass<ExclusiveResult<T>> Start<T>(
        ModelLease lease, PassShape shape, RunOrder order, Func<Action<HostTensor>, CancellationToken, T> job, CancellationToken ct) => new(
        lease,
        async (begun, send, token) =>
        {
            ExclusiveWork<T> work = new(shape, order, begun, stop => job(send, stop), time, token);
            lease.Model.Scheduler.Submit(work);
            return await FiniteAsync(work.Result);
        },
        ct);

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
        return await FiniteAsync(work.Result);
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

    private static async Task<T> FiniteAsync<T>(Task<T> result)
    {
        try
        {
            return await result;
        }
        catch (NonFiniteActivationException e)
        {
            throw NonFinite(e);
        }
    }
}
