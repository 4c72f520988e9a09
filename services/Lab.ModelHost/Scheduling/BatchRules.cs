using Lab.ModelHost.Passes;
using Lab.Models;
using Lab.Models.Interventions;

namespace Lab.ModelHost.Scheduling;

/// <summary>Which passes go together.</summary>
internal sealed class BatchRules(TransformerConfig config, ModelHostOptions options)
{
    /// <summary>The passes that run next: the first, and of the others those that fit and gain by it, in their order.</summary>
    /// <param name="candidates">Passes by urgency; at least one.</param>
    public List<ModelWork> Choose(IEnumerable<ModelWork> candidates)
    {
        List<ModelWork> chosen = [];
        (long rows, int length, long tokens) = (0, 0, 0);
        foreach (ModelWork work in candidates)
        {
            PassShape shape = work.Shape;
            if (chosen.Count > 0)
            {
                PassShape first = chosen[0].Shape;
                if (shape.IsAlone || shape.Kind != first.Kind || shape.NeedsScores != first.NeedsScores) continue;
                int longest = Math.Max(length, shape.Length);
                long together = (rows + shape.Rows) * longest;
                // A pass of its own would read the weights again; one together computes more padding.
                bool wastes = together - tokens - shape.Tokens > options.PassOverheadTokens;
                if (wastes || together > options.MaxBatchTokens || IsTooLarge(rows + shape.Rows, longest, shape.NeedsScores)) continue;
            }

            chosen.Add(work);
            length = Math.Max(length, shape.Length);
            rows += shape.Rows;
            tokens = rows * length;
            if (shape.IsAlone || tokens >= options.MaxBatchTokens) break;
        }

        return chosen;
    }

    private bool IsTooLarge(long rows, int length, bool needsScores) =>
        PassCost.LargestTensorBytes(config, (int)Math.Min(rows, int.MaxValue), length, needsScores || PassCost.HasScores(config)) > options.MaxIntermediateBytes;
}
