using Lab.ModelHost.Residents;
using Lab.Models.Tokenizers;
using Lab.Models.Tokenizers.Chat;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Rows of tokens, texts and conversations as prompts of a model.</summary>
internal static class PromptMapping
{
    /// <summary>A row of tokens, which BOS is put in front of only where the request says so.</summary>
    public static PromptRow ToPrompt(this ResidentModel model, int[] ids, Proto.BosPolicy policy, string bosField)
    {
        TokenizedText? text = model.Tokenizer is { } tokenizer && ids.All(id => (uint)id < (uint)tokenizer.VocabSize) ? TokenizedText.FromIds(tokenizer, ids) : null;
        bool isWanted = policy.ToCore(bosField) switch
        {
            null or BosPolicy.Never => false,
            BosPolicy.Default => model.TokenizerOf().AddsBos(),
            _ => true,
        };
        if (!isWanted || (ids.Length > 0 && ids[0] == model.BosOf())) return new PromptRow(ids, text);
        int[] longer = [model.BosOf(), .. ids];
        return new PromptRow(longer, text is null ? null : text with { Ids = longer, Spans = [default, .. text.Spans], Bos = BosState.Added });
    }

    /// <summary>A text.</summary>
    public static PromptRow ToPrompt(this ResidentModel model, string text, Proto.BosPolicy policy, string field, string bosField)
    {
        ITokenizer tokenizer = model.TokenizerOf();
        BosPolicy bos = policy.ToCore(bosField) ?? BosPolicy.Default;
        if (bos == BosPolicy.Always) _ = model.BosOf();
        try
        {
            TokenizedText encoded = tokenizer.Encode(text, new EncodeOptions { Bos = bos });
            return new PromptRow(encoded.Ids, encoded);
        }
        catch (ArgumentException e) when (e.ParamName == "text")
        {
            throw new InvalidRequestException(field, e.Message);
        }
    }

    /// <summary>Conversations.</summary>
    public static IReadOnlyList<PromptRow> ToPrompts(this ResidentModel model, Proto.Chats chats, Proto.BosPolicy policy, string field, string bosField)
    {
        ITokenizer tokenizer = model.TokenizerOf();
        ChatTemplate template = chats.Template switch
        {
            Proto.ChatTemplate.Unspecified => ChatPrompt.Find(tokenizer)
                ?? throw new FailedPreconditionException("NO_CHAT_TEMPLATE", $"The model '{model.Name}' has no chat template of its own: name one."),
            Proto.ChatTemplate.Chatml => ChatTemplate.ChatMl,
            Proto.ChatTemplate.Llama3 => ChatTemplate.Llama3,
            Proto.ChatTemplate.Gemma => ChatTemplate.Gemma,
            Proto.ChatTemplate.HumanAssistant => ChatTemplate.HumanAssistant,
            Proto.ChatTemplate.Words => ChatTemplate.Words,
            _ => throw new InvalidRequestException($"{field}.template", $"{(int)chats.Template} is no template."),
        };

        // A template has its own rule; where the tokenizer's is asked for, both hold.
        BosPolicy bos = policy.ToCore(bosField) switch
        {
            BosPolicy.Default when tokenizer.AddsBos() => BosPolicy.Always,
            { } asked => asked,
            null => BosPolicy.Default,
        };
        if (bos == BosPolicy.Always) _ = model.BosOf();
        ChatOptions options = new() { Bos = bos, AddGenerationPrompt = !chats.HasAddGenerationPrompt || chats.AddGenerationPrompt };
        return [.. chats.Chats_.Select((chat, i) => ToPrompt(tokenizer, template, chat, options, field, $"{field}.chats[{i}]"))];
    }

    /// <summary>How the service names a template; unspecified for none.</summary>
    public static Proto.ChatTemplate ToProto(this ChatTemplate? template) => template switch
    {
        ChatTemplate.ChatMl => Proto.ChatTemplate.Chatml,
        ChatTemplate.Llama3 => Proto.ChatTemplate.Llama3,
        ChatTemplate.Gemma => Proto.ChatTemplate.Gemma,
        ChatTemplate.HumanAssistant => Proto.ChatTemplate.HumanAssistant,
        ChatTemplate.Words => Proto.ChatTemplate.Words,
        _ => Proto.ChatTemplate.Unspecified,
    };

    /// <summary>Whether a tokenizer puts BOS in front of a text by itself.</summary>
    public static bool AddsBos(this ITokenizer tokenizer) => tokenizer.Encode("", EncodeOptions.Default).Bos == BosState.Added;

    private static PromptRow ToPrompt(ITokenizer tokenizer, ChatTemplate template, Proto.Chat chat, ChatOptions options, string chats, string field)
    {
        ChatMessage[] messages = [.. chat.Messages.Select((message, i) => new ChatMessage(RoleOf(message.Role, $"{field}.messages[{i}].role"), message.Content))];
        try
        {
            TokenizedText rendered = ChatPrompt.Create(tokenizer, template, messages, options).Rendered;
            return new PromptRow(rendered.Ids, rendered);
        }
        catch (ArgumentException e) when (e.ParamName is not null)
        {
            throw new InvalidRequestException(e.ParamName == "template" ? $"{chats}.template" : e.ParamName == "text" ? field : $"{field}.{e.ParamName}", e.Message);
        }
    }

    private static ChatRole RoleOf(string role, string field) => role switch
    {
        "system" => ChatRole.System,
        "user" => ChatRole.User,
        "assistant" => ChatRole.Assistant,
        _ => throw new InvalidRequestException(field, $"'{role}' is no role: there are system, user and assistant."),
    };

    private static BosPolicy? ToCore(this Proto.BosPolicy policy, string field) => policy switch
    {
        Proto.BosPolicy.Unspecified => null,
        Proto.BosPolicy.Tokenizer => BosPolicy.Default,
        Proto.BosPolicy.Always => BosPolicy.Always,
        Proto.BosPolicy.Never => BosPolicy.Never,
        _ => throw new InvalidRequestException(field, $"{(int)policy} is no policy."),
    };

    private static int BosOf(this ResidentModel model) => model.Tokenizer?.SpecialTokens.Bos
        ?? throw new FailedPreconditionException("NO_BOS_TOKEN", $"The model '{model.Name}' has no token that begins a sequence.");
}
