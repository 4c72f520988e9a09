using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

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
                return new TokenBatch(model.Config, [.. input.Tokens.Rows.Select(row => row.Ids.ToArray())], $"{field}.tokens.rows");
            case Input.InputOneofCase.Texts:
                string texts = $"{field}.texts.texts";
                for (int i = 0; i < input.Texts.Texts_.Count; i++)
                {
                    if (input.Texts.Texts_[i].Length == 0) throw new InvalidRequestException($"{texts}[{i}]", "The text is empty.");
                }

                return new TokenBatch(model.Config, [.. input.Texts.Texts_.Select(model.Tokenizer.Encode)], texts);
            default:
                throw new InvalidRequestException(field, "Tokens or texts are required.");
        }
    }

    /// <summary>A token as text; the replacement character for a part of a character, and for a token that the tokenizer does not know.</summary>
    public static string TextOf(this ResidentModel model, int token) => token < model.Tokenizer.VocabSize ? model.Tokenizer.Decode([token]) : "\uFFFD";

    /// <summary>Tokens as text.</summary>
    public static string ToText(this ResidentModel model, IReadOnlyList<int> ids, string field)
    {
        for (int i = 0; i < ids.Count; i++)
        {
            if ((uint)ids[i] >= (uint)model.Tokenizer.VocabSize)
            {
                throw new InvalidRequestException($"{field}[{i}]", $"Token {ids[i]} is out of range: the vocabulary has {model.Tokenizer.VocabSize} tokens, from 0.");
            }
        }

        return model.Tokenizer.Decode([.. ids]);
    }
}
