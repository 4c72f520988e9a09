using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Mapping;

/// <summary>Tokens and texts of requests.</summary>
internal static class InputMapping
{
    /// <summary>The batch that an input stands for, checked against the model.</summary>
    public static TokenBatch ToBatch(this Input? input, ResidentModel model, string field)
    {
        Unsupported.Require(input?.Bos is null or Protos.ModelHost.V1.BosPolicy.Unspecified or Protos.ModelHost.V1.BosPolicy.Never, $"{field}.bos");
        switch (input?.InputCase)
        {
            case Input.InputOneofCase.Tokens:
                return new TokenBatch(model.Config, [.. input.Tokens.Rows.Select((row, i) => Unpadded(row, $"{field}.tokens.rows[{i}]"))], $"{field}.tokens.rows");
            case Input.InputOneofCase.Texts:
                string texts = $"{field}.texts.texts";
                for (int i = 0; i < input.Texts.Texts_.Count; i++)
                {
                    if (input.Texts.Texts_[i].Length == 0) throw new InvalidRequestException($"{texts}[{i}]", "The text is empty.");
                }

                return new TokenBatch(model.Config, [.. input.Texts.Texts_.Select(text => model.TokenizerOf().Encode(text, new EncodeOptions { Bos = Lab.Models.Tokenizers.BosPolicy.Never }).Ids)], texts);
            default:
                throw new InvalidRequestException(field, "Tokens or texts are required.");
        }
    }

    /// <summary>The rows as they run.</summary>
    public static IEnumerable<TokenizedRow> ToRows(this TokenBatch batch) => batch.Rows.Select(ids => new TokenizedRow { Ids = { ids } });

    /// <summary>A token as text; the replacement character for a part of a character, and for a token that the tokenizer does not know.</summary>
    public static string TextOf(this ResidentModel model, int token) => token < model.Tokenizer?.VocabSize ? model.Tokenizer.Decode([token]) : "\uFFFD";

    /// <summary>The tokenizer of a model.</summary>
    /// <exception cref="FailedPreconditionException">It has none.</exception>
    public static ITokenizer TokenizerOf(this ResidentModel model) => model.Tokenizer
        ?? throw new FailedPreconditionException("NO_TOKENIZER", $"The model '{model.Name}' came without a tokenizer: send tokens.");

    private static int[] Unpadded(TokenRow row, string field)
    {
        if (row.AttentionMask.Count == 0) return [.. row.Ids];
        if (row.AttentionMask.Count != row.Ids.Count)
        {
            throw new InvalidRequestException($"{field}.attention_mask", $"It has {row.AttentionMask.Count} values for {row.Ids.Count} tokens.");
        }

        bool[] mask = [.. row.AttentionMask];
        int first = Array.IndexOf(mask, true), last = Array.LastIndexOf(mask, true);
        if (first < 0) return [];
        if (mask.AsSpan(first..(last + 1)).Contains(false) || (first > 0 && last < mask.Length - 1))
        {
            throw new InvalidRequestException($"{field}.attention_mask", "Padding may be on one side of the row only.");
        }

        return [.. row.Ids.Skip(first).Take(last + 1 - first)];
    }

    /// <summary>Tokens as text.</summary>
    public static string ToText(this ResidentModel model, IReadOnlyList<int> ids, string field)
    {
        ITokenizer tokenizer = model.TokenizerOf();
        for (int i = 0; i < ids.Count; i++)
        {
            if ((uint)ids[i] >= (uint)tokenizer.VocabSize)
            {
                throw new InvalidRequestException($"{field}[{i}]", $"Token {ids[i]} is out of range: the vocabulary has {tokenizer.VocabSize} tokens, from 0.");
            }
        }

        return tokenizer.Decode([.. ids]);
    }
}
