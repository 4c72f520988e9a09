using Lab.Models.Tokenizers;
using static TorchSharp.torch;

namespace Lab.Models.Tasks;

/// <summary>The accuracy of a model on each of the twenty tasks (Gao et al. 2025, table 1), by the first token in which the two answers differ.</summary>
public static class TaskAccuracy
{
    private const int PromptsPerPass = 32;

    /// <summary>Asks a model; on the model's thread.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="pairs">Pairs of prompts for each task, at least 1.</param>
    /// <param name="seed">Decides which.</param>
    /// <param name="split">Which templates and words; the templates of <see cref="PromptSplit.HeldOut"/> are in no program of idioms, its words are.</param>
    /// <param name="ct">Ends it between passes.</param>
    /// <returns>One score for each task, in the paper's order.</returns>
    public static IReadOnlyList<TaskScore> Measure(Transformer model, ITokenizer tokenizer, int pairs, long seed, PromptSplit split, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfLessThan(pairs, 1);
        return [.. PythonTask.All.Select(task => Measure(model, tokenizer, task, pairs, seed, split, ct))];
    }

    private static TaskScore Measure(Transformer model, ITokenizer tokenizer, PythonTask task, int pairs, long seed, PromptSplit split, CancellationToken ct)
    {
        IReadOnlyList<TokenizedPair> drawn;
        try
        {
            drawn = TaskTokens.Pairs(tokenizer, task, seed, pairs, split, model.Config.NCtx);
        }
        catch (ArgumentException obstacle)
        {
            return new TaskScore(task.Name, 0, double.NaN, double.NaN, obstacle.Message);
        }

        double[] odds = [.. drawn.SelectMany(pair => new[] { pair.A, pair.B }).Chunk(PromptsPerPass).SelectMany(prompts => LogOdds(model, prompts, ct))];
        return new TaskScore(task.Name, odds.Length, odds.Count(value => value > 0) / (double)odds.Length, odds.Average(), null);
    }

    private static double[] LogOdds(Transformer model, TokenizedPrompt[] prompts, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int length = prompts.Max(prompt => prompt.Tokens.Length);
        long[] ids = new long[prompts.Length * length];
        for (int row = 0; row < prompts.Length; row++)
        {
            for (int at = 0; at < prompts[row].Tokens.Length; at++) ids[(row * length) + at] = prompts[row].Tokens[at];
        }

        LogitSelection deciding = new([.. prompts.Select((prompt, row) => (long)(row * length) + prompt.DecidingPosition)]);
        Tensor logits = model.Forward(new ForwardInput(tensor(ids, prompts.Length, length)) { Logits = deciding })!; // (N, V)
        return [.. prompts.Select((prompt, row) => (double)(logits[row, prompt.Target] - logits[row, prompt.Alternative]).item<float>())];
    }
}
