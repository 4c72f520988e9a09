namespace Lab.Models.Tokenizers.Chat;

/// <summary>Writes conversations as each template has them.</summary>
internal sealed class ChatWriter(ITokenizer tokenizer, IReadOnlyList<ChatMessage> messages, ChatOptions options)
{
    private readonly List<ChatPart> _parts = [];

    /// <summary>The parts of the whole conversation, without BOS.</summary>
    public IReadOnlyList<ChatPart> Write(ChatTemplate template)
    {
        switch (template)
        {
            case ChatTemplate.ChatMl:
                WriteChatMl();
                break;
            case ChatTemplate.Llama3:
                WriteLlama3();
                break;
            case ChatTemplate.Gemma:
                WriteGemma();
                break;
            case ChatTemplate.HumanAssistant:
                WriteHumanAssistant();
                break;
            case ChatTemplate.Words:
                WriteWords();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(template), template, "There is no such template.");
        }

        return _parts;
    }

    private void WriteChatMl()
    {
        if (options.AddDefaultSystem && messages[0].Role != ChatRole.System) Turn("system", () => Text("You are a helpful assistant."), isOpen: false);
        for (int i = 0; i < messages.Count; i++)
        {
            int message = i;
            Turn(messages[i].Role switch { ChatRole.System => "system", ChatRole.User => "user", _ => "assistant" }, () => Content(message, trim: false), IsOpen(i));
        }

        if (options.AddGenerationPrompt) Turn("assistant", () => { }, isOpen: true);

        void Turn(string role, Action content, bool isOpen)
        {
            Marker("<|im_start|>");
            Text($"{role}\n");
            content();
            if (isOpen) return;
            Marker("<|im_end|>");
            Text("\n");
        }
    }

    private void WriteLlama3()
    {
        for (int i = 0; i < messages.Count; i++)
        {
            Header(messages[i].Role switch { ChatRole.System => "system", ChatRole.User => "user", _ => "assistant" });
            Content(i, trim: true);
            if (!IsOpen(i)) Marker("<|eot_id|>");
        }

        if (options.AddGenerationPrompt) Header("assistant");

        void Header(string role)
        {
            Marker("<|start_header_id|>");
            Text(role);
            Marker("<|end_header_id|>");
            Text("\n\n");
        }
    }

    private void WriteGemma()
    {
        int first = messages[0].Role == ChatRole.System ? 1 : 0;
        if (first == messages.Count) throw new ArgumentException("Gemma has no system turn: a user message must follow.", nameof(messages));
        for (int i = first; i < messages.Count; i++)
        {
            bool isUser = (i - first) % 2 == 0;
            if (messages[i].Role != (isUser ? ChatRole.User : ChatRole.Assistant))
            {
                throw new ArgumentException("Gemma's turns alternate, beginning with the user's, after a system message at most.", $"messages[{i}].role");
            }

            Marker("<start_of_turn>");
            Text(isUser ? "user\n" : "model\n");
            if (i == 1 && first == 1)
            {
                Content(0, trim: false);
                Text("\n\n");
            }

            Content(i, trim: true);
            if (IsOpen(i)) continue;
            Marker("<end_of_turn>");
            Text("\n");
        }

        if (!options.AddGenerationPrompt) return;
        Marker("<start_of_turn>");
        Text("model\n");
    }

    private void WriteHumanAssistant()
    {
        for (int i = 0; i < messages.Count; i++)
        {
            if (i > 0) Text("\n\n");
            Text(messages[i].Role switch { ChatRole.System => "", ChatRole.User => "Human: ", _ => "Assistant: " });
            Content(i, trim: false);
        }

        if (options.AddGenerationPrompt) Text("\n\nAssistant:");
    }

    private void WriteWords()
    {
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i].Role == ChatRole.System) throw new ArgumentException("Dialogues of words have no system turn.", $"messages[{i}].role");
            Marker(messages[i].Role == ChatRole.User ? WordTokenizer.UserToken : WordTokenizer.AssistantToken);
            Content(i, trim: false);
            if (!IsOpen(i)) Marker(WordTokenizer.EndOfTurnToken);
        }

        if (options.AddGenerationPrompt) Marker(WordTokenizer.AssistantToken);
    }

    private bool IsOpen(int message) => options.ContinueFinalMessage && message == messages.Count - 1;

    private void Marker(string token) => _parts.Add(tokenizer.SpecialTokens.ByText.TryGetValue(token, out int id)
        ? new ChatPart(token, Marker: id)
        : throw new ArgumentException($"The tokenizer has no special token {token}, which the template needs.", "template"));

    private void Text(string text)
    {
        if (text.Length > 0) _parts.Add(new ChatPart(text));
    }

    private void Content(int message, bool trim)
    {
        string content = messages[message].Content;
        string text = trim ? content.Trim() : content;
        if (text.Length > 0) _parts.Add(new ChatPart(text, Message: message, Offset: trim ? content.Length - content.TrimStart().Length : 0));
    }
}
