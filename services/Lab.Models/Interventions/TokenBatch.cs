using Lab.Models.Tokenizers;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>Rows of tokens, checked against a model. Shorter rows are padded on the right, which causal attention never sees.</summary>
public sealed class TokenBatch
{
    /// <summary>Checks the rows.</summary>
    /// <param name="config">The model.</param>
    /// <param name="rows">Token IDs.</param>
    /// <param name="field">The path of the rows, for errors: "input.tokens.rows".</param>
    /// <exception cref="ArgumentException">
    /// There are no rows, or a row is empty, longer than n_ctx, or has a token out of range. ParamName is the path.
    /// </exception>
    public TokenBatch(TransformerConfig config, IReadOnlyList<int[]> rows, string field = "rows")
    {
        if (rows.Count == 0) throw new ArgumentException("At least one row is required.", field);
        for (int row = 0; row < rows.Count; row++)
        {
            int[] ids = rows[row];
            if (ids.Length == 0) throw new ArgumentException($"Row {row} is empty: at least one token is required.", $"{field}[{row}]");
            if (ids.Length > config.NCtx)
            {
                throw new ArgumentException($"Row {row} has {ids.Length} tokens, the model's context only {config.NCtx}.", $"{field}[{row}]");
            }

            int bad = Array.FindIndex(ids, id => (uint)id >= (uint)config.DVocab);
            if (bad >= 0)
            {
                throw new ArgumentException($"Token {ids[bad]} is out of range: the vocabulary has {config.DVocab} tokens, from 0.", $"{field}[{row}].ids[{bad}]");
            }
        }

        Rows = rows;
        Lengths = [.. rows.Select(ids => ids.Length)];
        Length = Lengths.Max();
    }

    private TokenBatch(IReadOnlyList<int[]> rows, IReadOnlyList<int> lengths, int length) => (Rows, Lengths, Length) = (rows, lengths, length);

    /// <summary>The tokens, row by row.</summary>
    public IReadOnlyList<int[]> Rows { get; }

    /// <summary>The text of each row and where its tokens are in it; null for a row whose text is not known, and altogether if none is.</summary>
    public IReadOnlyList<TokenizedText?>? Texts { get; init; }

    /// <summary>The number of the first row, where the batch is a part of a longer one: noise is that of the longer one.</summary>
    public long FirstRow { get; init; }

    /// <summary>Tokens in each row.</summary>
    public IReadOnlyList<int> Lengths { get; }

    /// <summary>Tokens in the longest row.</summary>
    public int Length { get; }

    /// <summary>Rows.</summary>
    public int Count => Rows.Count;

    /// <summary>All rows, then all rows again: the batch of a pass with a twin.</summary>
    public TokenBatch Twice() => new([.. Rows, .. Rows], [.. Lengths, .. Lengths], Length);

    /// <summary>Token IDs [batch, pos], int64, padded with token 0.</summary>
    public Tensor ToTensor(Device device)
    {
        long[] ids = new long[(long)Count * Length];
        for (int row = 0; row < Count; row++)
        {
            for (int i = 0; i < Rows[row].Length; i++) ids[((long)row * Length) + i] = Rows[row][i];
        }

        return tensor(ids, Count, Length, device: device);
    }
}
