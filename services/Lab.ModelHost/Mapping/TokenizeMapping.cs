using Lab.ModelHost.Residents;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using BosPolicy = Lab.Protos.ModelHost.V1.BosPolicy;
using TextSpan = Lab.Models.Tokenizers.TextSpan;

namespace Lab.ModelHost.Mapping;

/// <summary>Text to tokens.</summary>
internal static class TokenizeMapping
{
    public static TokenizeResponse ToResponse(this TokenizeRequest request, ResidentModel model)
    {
        ITokenizer tokenizer = model.TokenizerOf();
        TokenizedText text = Encode(request, model).Text!;
        TextSpan[] spans = text.CodePointSpans();
        int[] ends = [.. spans.Select(span => span.End)];
        return new TokenizeResponse
        {
            Ids = { text.Ids },
            Tokens = { text.Ids.Select(tokenizer.TokenText) },
            CharStarts = { spans.Select(span => span.Start) },
            CharEnds = { ends },
            BosAdded = text.Bos == BosState.Added,
            Text = text.IsRendered ? text.Text : "",
            CharTokens = { request.Chars.Select((at, i) => TokenAt(ends, spans, at, $"chars[{i}]")) },
        };
    }

    private static PromptRow Encode(TokenizeRequest request, ResidentModel model)
    {
        if (request.Chats is null) return model.ToPrompt(request.Text, request.Bos == BosPolicy.Unspecified ? BosPolicy.Never : request.Bos, "text", "bos");
        if (request.Text.Length > 0) throw new InvalidRequestException("text", "There is a conversation too.");
        if (request.Chats.Chats_.Count != 1) throw new InvalidRequestException("chats.chats", $"There must be one conversation, not {request.Chats.Chats_.Count}.");
        return model.ToPrompts(request.Chats, request.Bos, "chats", "bos")[0];
    }

    // Spans are in the order of the text: the first that ends behind the position is the first that can cover it.
    private static int TokenAt(int[] ends, TextSpan[] spans, int position, string field)
    {
        int after = Array.BinarySearch(ends, position, Comparer<int>.Create((end, at) => end <= at ? -1 : 1));
        int token = ~after;
        return position >= 0 && token < spans.Length && spans[token].Start <= position
            ? token
            : throw new InvalidRequestException(field, $"No token covers position {position}: the text of the tokens ends at {ends.LastOrDefault()}.");
    }
}
