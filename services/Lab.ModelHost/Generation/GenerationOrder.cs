using Lab.ModelHost.Passes;

namespace Lab.ModelHost.Generation;

/// <summary>What a generation is asked for, its prompt checked.</summary>
/// <param name="Prefill">The pass over the prompt: one row, of which the last token's logits are needed.</param>
/// <param name="MaxNewTokens">At least 1; with the prompt at most n_ctx.</param>
/// <param name="Sampling">How tokens are picked.</param>
internal sealed record GenerationOrder(RunOrder Prefill, int MaxNewTokens, SamplingOptions Sampling)
{
    /// <summary>Each of these ends the generation.</summary>
    public IReadOnlySet<int> StopTokens { get; init; } = new HashSet<int>();

    /// <summary>Generated text that has one of these ends it.</summary>
    public IReadOnlyList<string> StopTexts { get; init; } = [];

    /// <summary>How many of the most likely tokens are told of.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>The prompt's tokens.</summary>
    public int[] Prompt => Prefill.Batch.Rows[0];

    /// <summary>The tokens that are processed at most: the last new one is not.</summary>
    public int Reach => Prompt.Length + MaxNewTokens - 1;
}

/// <summary>How tokens are picked.</summary>
/// <param name="Temperature">At least 0; 0 picks the most likely token.</param>
/// <param name="TopK">At least 0; 0 for all.</param>
/// <param name="TopP">In (0, 1].</param>
/// <param name="Seed">Seeds the sampling.</param>
internal readonly record struct SamplingOptions(float Temperature, int TopK, float TopP, long Seed);
