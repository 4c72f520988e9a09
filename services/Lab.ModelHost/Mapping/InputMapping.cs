using System.Text;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using BosPolicy = Lab.Protos.ModelHost.V1.BosPolicy;
using TextSpan = Lab.Models.Tokenizers.TextSpan;

namespace Lab.ModelHost.Mapping;

/// <summary>Tokens and texts of requests.</summary>
internal static class InputMapping
{
    /// <summary>The batch that an input stands for, checked against the model.</summary>
    public static TokenBatch ToBatch(this Input? input, ResidentModel model, string field)
    {
        switch (input?.InputCase)
        {
            case Input.InputOneofCase.Tokens:
                string rows = $"{field}.tokens.rows";
                return ToBatch([.. input.Tokens.Rows.Select((row, i) => model.ToPrompt(Unpadded(row, $"{rows}[{i}]"), input.Bos, $"{field}.bos"))], rows);
            case Input.InputOneofCase.Texts:
                string texts = $"{field}.texts.texts";
                for (int i = 0; i < input.Texts.Texts_.Count; i++)
                {
                    if (input.Texts.Texts_[i].Length == 0) throw new InvalidRequestException($"{texts}[{i}]", "The text is empty.");
                }

                BosPolicy bos = input.Bos == BosPolicy.Unspecified ? BosPolicy.Tokenizer : input.Bos;
                return ToBatch([.. input.Texts.Texts_.Select((text, i) => model.ToPrompt(text, bos, $"{texts}[{i}]", $"{field}.bos"))], texts);
            case Input.InputOneofCase.Chats:
                return ToBatch(model.ToPrompts(input.Chats, input.Bos, $"{field}.chats", $"{field}.bos"), $"{field}.chats.chats");
            default:
                throw new InvalidRequestException(field, "Tokens, texts or chats are required.");
        }

        TokenBatch ToBatch(IReadOnlyList<PromptRow> prompts, string path) => new(model.Config, [.. prompts.Select(prompt => prompt.Ids)], path) { Texts = [.. prompts.Select(prompt => prompt.Text)] };
    }

    /// <summary>The rows as they run.</summary>
    public static IEnumerable<TokenizedRow> ToRows(this TokenBatch batch) => batch.Rows.Select((ids, i) =>
    {
        TokenizedRow row = new() { Ids = { ids } };
        if (batch.Texts?[i] is not { } text) return row;
        TextSpan[] spans = text.CodePointSpans();
        row.CharStarts.Add(spans.Select(span => span.Start));
        row.CharEnds.Add(spans.Select(span => span.End));
        row.BosAdded = text.Bos == BosState.Added;
        row.Text = text.IsRendered ? text.Text : "";
        return row;
    });

    /// <summary>A token as text, a leading space kept; the replacement character for a part of a character, and for a token that the tokenizer does not know.</summary>
    public static string TextOf(this ResidentModel model, int token) => token < model.Tokenizer?.VocabSize ? Encoding.UTF8.GetString(model.Tokenizer.TokenBytes(token)) : "\uFFFD";

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
    public static string ToText(this ResidentModel model, IReadOnlyList<int> ids, bool skipSpecial, string field)
    {
        ITokenizer tokenizer = model.TokenizerOf();
        for (int i = 0; i < ids.Count; i++)
        {
            if ((uint)ids[i] >= (uint)tokenizer.VocabSize)
            {
                throw new InvalidRequestException($"{field}[{i}]", $"Token {ids[i]} is out of range: the vocabulary has {tokenizer.VocabSize} tokens, from 0.");
            }
        }

        return tokenizer.Decode([.. ids], skipSpecial);
    }
}
