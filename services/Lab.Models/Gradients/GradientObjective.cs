namespace Lab.Models.Gradients;

/// <summary>
/// A number for each row of a batch; what is differentiated is their sum. Logarithms are natural. A closed set: data, never code.
/// </summary>
public abstract record GradientObjective
{
    private GradientObjective()
    {
    }

    /// <summary>Minus the log-probability of tokens.</summary>
    /// <param name="Targets">The tokens; if there are none, of every position the row's next token. Rows without a target have value 0.</param>
    /// <param name="Reduction">How the targets of a row are put together.</param>
    public sealed record CrossEntropy(IReadOnlyList<TokenTarget> Targets, Reduction Reduction) : GradientObjective;

    /// <summary>The logit of one token, or its difference to that of another, summed over the pairs of a row.</summary>
    /// <param name="Pairs">At least one. Rows without a pair have value 0.</param>
    public sealed record LogitDifference(IReadOnlyList<LogitPair> Pairs) : GradientObjective;

    /// <summary>
    /// KL(clean || this run) of next-token distributions. The clean run, without interventions and weight edits, is a constant.
    /// </summary>
    /// <param name="Positions">The positions in each row, negative ones from its end; empty for all.</param>
    /// <param name="Reduction">How the positions of a row are put together.</param>
    public sealed record KlToClean(IReadOnlyList<int> Positions, Reduction Reduction) : GradientObjective;

    /// <summary>The inner product of activations with given gradients, summed over the list.</summary>
    /// <param name="Gradients">At least one.</param>
    public sealed record Upstream(IReadOnlyList<UpstreamGradient> Gradients) : GradientObjective;
}
