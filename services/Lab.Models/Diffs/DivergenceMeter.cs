using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Diffs;

/// <summary>Measures KL(clean || changed) token by token, a piece of the batch at a time: the vocabulary is the widest dimension.</summary>
/// <param name="model">The model.</param>
/// <param name="batch">The rows, once.</param>
/// <param name="ids">Token IDs of the clean rows, then of the changed ones: [2 x rows, pos].</param>
/// <param name="touched">The tokens that may differ: of others the divergence is 0.</param>
/// <param name="edits">Changes to parameters of the changed rows; null for none.</param>
internal sealed class DivergenceMeter(Transformer model, TokenBatch batch, Tensor ids, TouchedTokens touched, IWeightEdits? edits)
{
    /// <summary>Elements of the logits that are there at a time, of each run.</summary>
    private const long PieceElements = 1 << 23;

    private readonly long[] _tokens = [.. batch.Lengths.SelectMany((length, row) => Enumerable.Range(0, length).Select(position => ((long)row * batch.Length) + position))];

    /// <summary>The clean rows' tokens without padding, as indices into the batch flattened to [rows x pos].</summary>
    public IReadOnlyList<long> Tokens => _tokens;

    /// <summary>The changed rows' tokens, in the same order.</summary>
    public IReadOnlyList<long> ChangedTokens => [.. _tokens.Select(Changed)];

    /// <summary>The divergence of what a layer's output predicts.</summary>
    /// <param name="residual">[2 x rows, pos, d_model].</param>
    /// <returns>One value a token of <see cref="Tokens"/>.</returns>
    public float[] OfResidual(Tensor residual)
    {
        TransformerWeights weights = model.Weights;
        NamedParameter?[] last = [weights.LnFinal.Gain, weights.LnFinal.Bias, weights.Unembedding, weights.Bigram, weights.FinalLogitsBias];
        // Edited parameters make all logits at once; others only those of the tokens asked for.
        bool isEdited = edits is not null && last.Any(parameter => parameter is not null && edits.Touches(parameter.Name));
        int[] different = isEdited ? [.. Enumerable.Range(0, _tokens.Length)] : Different();
        float[] values = new float[_tokens.Length];
        foreach (int[] piece in isEdited ? [different] : different.Chunk(PieceSize))
        {
            using var scope = NewDisposeScope();
            LogitSelection wanted = new([.. piece.Select(i => _tokens[i]), .. piece.Select(i => Changed(_tokens[i]))]);
            Tensor logits = model.Unembed(residual, new ForwardInput(ids) { Logits = wanted, Edits = isEdited ? edits : null })!;
            float[] kl = Kl(logits.narrow(0, 0, piece.Length), logits.narrow(0, piece.Length, piece.Length));
            for (int i = 0; i < piece.Length; i++) values[piece[i]] = kl[i];
        }

        return values;
    }

    /// <summary>The divergence and agreement of the model's predictions.</summary>
    /// <param name="logits">Of the clean tokens, then of the changed ones: [2 x tokens, d_vocab].</param>
    /// <returns>For each token of <see cref="Tokens"/> the divergence, and whether both runs predict the same token.</returns>
    public (float[] Divergences, bool[] Agreements) OfLogits(Tensor logits)
    {
        float[] values = new float[_tokens.Length];
        bool[] agreements = [.. Enumerable.Repeat(true, _tokens.Length)];
        foreach (int[] piece in Different().Chunk(PieceSize))
        {
            using var scope = NewDisposeScope();
            Tensor index = tensor([.. piece.Select(i => (long)i)], device: logits.device);
            (Tensor clean, Tensor changed) = (logits.index_select(0, index), logits.index_select(0, index + _tokens.Length));
            float[] kl = Kl(clean, changed);
            bool[] equal = clean.argmax(-1).eq(changed.argmax(-1)).cpu().data<bool>().ToArray();
            for (int i = 0; i < piece.Length; i++) (values[piece[i]], agreements[piece[i]]) = (kl[i], equal[i]);
        }

        return (values, agreements);
    }

    /// <summary>Values of tokens as [rows, pos], zero in padding.</summary>
    public void Scatter(ReadOnlySpan<float> values, Span<float> rows)
    {
        for (int i = 0; i < values.Length; i++) rows[(int)_tokens[i]] = values[i];
    }

    private long Changed(long token) => token + ((long)batch.Count * batch.Length);

    private int PieceSize => (int)Math.Max(1, PieceElements / model.Config.DVocab);

    /// <summary>The places of <see cref="Tokens"/> that are touched.</summary>
    private int[] Different()
    {
        bool[] mask = touched.ToHost();
        return [.. Enumerable.Range(0, _tokens.Length).Where(i => mask[(int)_tokens[i]])];
    }

    private static float[] Kl(Tensor clean, Tensor changed)
    {
        Tensor reference = Wide(clean).log_softmax(-1);
        // Rounding can bring equal distributions below 0.
        Tensor divergence = (reference.exp() * (reference - Wide(changed).log_softmax(-1))).sum(-1).clamp_min(0);
        return divergence.ToFiniteHost("kl", TensorDataType.Float32).Floats.ToArray();
    }

    private static Tensor Wide(Tensor x) => x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
}
