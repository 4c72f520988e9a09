using System.Runtime.CompilerServices;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Generation;

/// <summary>
/// Continues prompts. Every step is a pass over all tokens so far, with the interventions applied to it as to any run: a
/// position that is not reached yet is not changed, and one from the end is counted from the end as it is at that step.
/// </summary>
internal sealed class TextGenerator(PassRunner runner, RunLimits limits)
{
    /// <summary>Generates tokens one by one, as they are asked for.</summary>
    /// <exception cref="ArgumentException">An intervention does not fit; ParamName is its path.</exception>
    public IAsyncEnumerable<GeneratedToken> GenerateAsync(ResidentModel model, GenerationOrder order, CancellationToken ct)
    {
        // What does not fit at the first or the last step fails before anything runs.
        int longest = order.Prompt.Length + order.MaxNewTokens - 1;
        foreach (int[] tokens in (int[][])[order.Prompt, [.. order.Prompt, .. new int[longest - order.Prompt.Length]]])
        {
            limits.RequireSize(model.Config, PlanStep(model, order, tokens).Forward);
        }

        return StepAsync(model, order, ct);
    }

    private async IAsyncEnumerable<GeneratedToken> StepAsync(ResidentModel model, GenerationOrder order, [EnumeratorCancellation] CancellationToken ct)
    {
        TokenSampler sampler = new(order.Temperature, order.TopK, order.Seed);
        List<int> tokens = [.. order.Prompt];
        int[] fireCounts = new int[order.Interventions.Count];
        for (int step = 0; step < order.MaxNewTokens; step++)
        {
            HostTensor? logits = null;
            PassResult result = await runner.RunAsync(model, PlanStep(model, order, [.. tokens]), () => { }, tensor => logits = tensor, ct);
            for (int i = 0; i < fireCounts.Length; i++) fireCounts[i] += result.FireCounts[i];
            (int id, float logProbability) = sampler.Pick(logits!.Floats);
            tokens.Add(id);
            yield return new GeneratedToken(step, id, logProbability);
            if (order.StopTokens.Contains(id)) break;
        }

        PassRunner.RequireFired(order.Interventions, fireCounts);
    }

    private static RunPlan PlanStep(ResidentModel model, GenerationOrder order, int[] tokens)
    {
        int reach = order.Prompt.Length + order.MaxNewTokens - 1;
        TokenBatch batch = new(model.Config, [tokens], "prompt");
        RunOrder step = new(batch, [], order.Interventions, LogitsSelection.Last, TensorDataType.Float32, default, default, "");
        return RunPlan.Of(model.Hooks, model.Config, step, reach: reach);
    }
}
