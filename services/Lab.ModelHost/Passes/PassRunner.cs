using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.ModelHost.Passes;

/// <summary>Runs planned passes on the models' threads.</summary>
internal sealed class PassRunner(TimeProvider time)
{
    /// <summary>Runs a pass. Cancelled, it stops within a layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="begun">Called on the model's thread when the pass begins.</param>
    /// <param name="send">Gets each tensor on the model's thread as soon as it is captured; must not wait.</param>
    /// <param name="ct">Cancels the pass.</param>
    /// <exception cref="FailedPreconditionException">A number that is to be sent is not finite.</exception>
    public async Task<PassResult> RunAsync(ResidentModel model, RunPlan plan, Action begun, Action<HostTensor> send, CancellationToken ct)
    {
        long submitted = time.GetTimestamp();
        try
        {
            return await model.Worker.RunAsync(
                token =>
                {
                    long started = time.GetTimestamp();
                    begun();
                    IReadOnlyList<int> fireCounts = Run(model, plan, send, token);
                    return new PassResult(fireCounts, time.GetElapsedTime(submitted, started), time.GetElapsedTime(started));
                },
                ct);
        }
        catch (NonFiniteActivationException e)
        {
            throw new FailedPreconditionException("NON_FINITE", e.Message) { Metadata = new Dictionary<string, string> { ["tensor"] = e.Name } };
        }
    }

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

    private static IReadOnlyList<int> Run(ResidentModel model, RunPlan plan, Action<HostTensor> send, CancellationToken ct)
    {
        using var noGrad = no_grad();
        TokenBatch batch = plan.Forward.Batch;
        InterventionTap interventions = new(plan.Forward.Interventions, batch.Lengths);
        CaptureTap captures = new(plan.Forward.Captures, plan.Order.DataType, send);
        Tensor logits = model.Transformer.Forward(batch.ToTensor(model.Transformer.Device), new ForwardTap(interventions, captures, ct));
        ct.ThrowIfCancellationRequested();
        if (plan.Order.Logits != LogitsSelection.None)
        {
            HostTensor copy = Selected(logits, batch, plan.Order.Logits).ToHost(RunPlan.LogitsName, plan.Order.DataType);
            FiniteCheck.Require(copy);
            send(copy);
        }

        return interventions.FireCounts;
    }

    private static Tensor Selected(Tensor logits, TokenBatch batch, LogitsSelection selection)
    {
        Tensor lengths = tensor([.. batch.Lengths.Select(length => (long)length)], device: logits.device);   // (B)
        if (selection == LogitsSelection.Last)
        {
            Tensor rows = arange(batch.Count, device: logits.device);
            return logits.flatten(0, 1).index_select(0, (rows * batch.Length) + lengths - 1);                 // (B, V)
        }

        if (batch.Lengths.All(length => length == batch.Length)) return logits;
        Tensor padding = arange(batch.Length, device: logits.device).unsqueeze(0) >= lengths.unsqueeze(1);   // (B, T)
        return logits.masked_fill(padding.unsqueeze(-1), 0);
    }
}
