using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.CircuitAnalysis.Pruning;

/// <summary>Prompts as tensors, padded on the right, which in a causal model changes nothing at the last real token.</summary>
internal sealed class PromptBatch : IDisposable
{
    private readonly Tensor _ids;
    private readonly Tensor _last;
    private readonly Tensor _answers;

    /// <summary>Makes the tensors; they live until the batch is disposed, whatever scopes are open.</summary>
    /// <param name="prompts">At least one. Of a prompt longer than the context the last tokens are taken.</param>
    /// <param name="nCtx">The model's context.</param>
    /// <param name="device">Where the model is.</param>
    public PromptBatch(IReadOnlyList<TaskPrompt> prompts, int nCtx, Device device)
    {
        Rows = prompts.Count;
        int length = prompts.Max(prompt => Math.Min(prompt.Tokens.Length, nCtx));
        long[] ids = new long[Rows * length], last = new long[Rows], answers = new long[2 * Rows];
        for (int row = 0; row < Rows; row++)
        {
            ReadOnlySpan<int> tokens = prompts[row].Tokens.AsSpan(Math.Max(0, prompts[row].Tokens.Length - nCtx));
            for (int i = 0; i < tokens.Length; i++) ids[row * length + i] = tokens[i];
            last[row] = row * length + tokens.Length - 1;
            (answers[2 * row], answers[2 * row + 1]) = (prompts[row].Answer, prompts[row].Alternative);
        }

        _ids = tensor(ids, Rows, length, device: device).DetachFromDisposeScope();
        _last = tensor(last, device: device).DetachFromDisposeScope();
        _answers = tensor(answers, Rows, 2, device: device).DetachFromDisposeScope();
    }

    public int Rows { get; }

    /// <summary>[batch, pos].</summary>
    public Tensor Ids => _ids;

    /// <summary>How far the right answer's logit is above the wrong one's at each prompt's last token.</summary>
    /// <param name="logits">[batch, pos, d_vocab].</param>
    /// <returns>[batch].</returns>
    public Tensor Margins(Tensor logits)
    {
        Tensor final = logits.flatten(0, 1).index_select(0, _last);                                // (B, V)
        Tensor pair = final.gather(1, _answers);                                                   // (B, 2)
        return pair.select(1, 0) - pair.select(1, 1);
    }

    /// <summary>The binary cross-entropy between the two answers: -log sigmoid(margin).</summary>
    public static Tensor Losses(Tensor margins) => F.softplus(-margins);

    public void Dispose()
    {
        _ids.Dispose();
        _last.Dispose();
        _answers.Dispose();
    }
}
