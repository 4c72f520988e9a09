using System.Text;

namespace Lab.Models.Tokenizers.Chat;

/// <summary>A conversation as a prompt, and where each of its tokens came from.</summary>
public sealed class ChatPrompt
{
    private readonly IReadOnlyList<(ChatPart Part, int Start)> _contents;

    private ChatPrompt(ChatTemplate template, TokenizedText rendered, IReadOnlyList<(ChatPart Part, int Start)> contents)
    {
        (Template, Rendered, _contents) = (template, rendered, contents);
        Sources = FindSources();
    }

    /// <summary>How the conversation is written.</summary>
    public ChatTemplate Template { get; }

    /// <summary>The whole prompt as one text, markers to be seen in it, and its tokens; spans are those of this text. A BOS that was added covers nothing.</summary>
    public TokenizedText Rendered { get; }

    /// <summary>The token ids.</summary>
    public int[] Ids => Rendered.Ids;

    /// <summary>For each token the message, and the part of its content, that it came from.</summary>
    public IReadOnlyList<TokenSource> Sources { get; }

    /// <summary>The template that a tokenizer's special tokens imply; <see cref="ChatTemplate.HumanAssistant"/> if they imply none.</summary>
    public static ChatTemplate Guess(ITokenizer tokenizer) => Find(tokenizer) ?? ChatTemplate.HumanAssistant;

    /// <summary>The template that a tokenizer's special tokens imply; null if they imply none.</summary>
    public static ChatTemplate? Find(ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        IReadOnlyDictionary<string, int> special = tokenizer.SpecialTokens.ByText;
        return special.ContainsKey("<|im_start|>") ? ChatTemplate.ChatMl
            : special.ContainsKey("<|start_header_id|>") ? ChatTemplate.Llama3
            : special.ContainsKey("<start_of_turn>") ? ChatTemplate.Gemma
            : special.ContainsKey(WordTokenizer.AssistantToken) ? ChatTemplate.Words
            : null;
    }

    /// <summary>Writes a conversation as a prompt.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="template">How it is written.</param>
    /// <param name="messages">At least one message.</param>
    /// <param name="options">Where the prompt ends, and BOS.</param>
    /// <exception cref="ArgumentException">The template does not allow the messages, or the tokenizer lacks its markers or BOS; the parameter's name is the field.</exception>
    public static ChatPrompt Create(ITokenizer tokenizer, ChatTemplate template, IReadOnlyList<ChatMessage> messages, ChatOptions options)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(messages);
        ArgumentNullException.ThrowIfNull(options);
        if (messages.Count == 0) throw new ArgumentException("There is no message.", nameof(messages));
        for (int i = 0; i < messages.Count; i++)
        {
            ArgumentNullException.ThrowIfNull(messages[i], $"messages[{i}]");
            if (!Enum.IsDefined(messages[i].Role)) throw new ArgumentException("There is no such role.", $"messages[{i}].role");
            ArgumentNullException.ThrowIfNull(messages[i].Content, $"messages[{i}].content");
        }

        if (options is { AddGenerationPrompt: true, ContinueFinalMessage: true }) throw new ArgumentException("A prompt cannot both go on with the last message and begin a new one.", "continue_final_message");

        // An unpaired surrogate becomes U+FFFD here, so that contents keep their length whatever they are joined with.
        messages = [.. messages.Select(message => message with { Content = CodePoints.WellFormed(message.Content) })];
        IReadOnlyList<ChatPart> parts = new ChatWriter(tokenizer, messages, options).Write(template);
        return Encode(tokenizer, template, parts, BosFor(tokenizer, template, options.Bos));
    }

    /// <summary>The index of the first token that covers a position of a message's content; null where the template cut it off.</summary>
    /// <param name="message">The index of the message.</param>
    /// <param name="offset">A UTF-16 index into its content.</param>
    public int? TokenAt(int message, int offset) => TokensOf(message, new TextSpan(offset, offset + 1)) is [int first, ..] ? first : null;

    /// <summary>The indexes of the tokens that cover a part of a span of a message's content, in order.</summary>
    public IReadOnlyList<int> TokensOf(int message, TextSpan span)
    {
        foreach ((ChatPart part, int start) in _contents)
        {
            if (part.Message != message) continue;
            int shift = start - part.Offset;
            int from = Math.Max(span.Start, part.Offset) + shift;
            int to = Math.Min(span.End, part.Offset + part.Text.Length) + shift;
            return from < to ? Rendered.TokensOf(new TextSpan(from, to)) : [];
        }

        return [];
    }

    private static int? BosFor(ITokenizer tokenizer, ChatTemplate template, BosPolicy policy)
    {
        bool isAdded = policy switch
        {
            BosPolicy.Always => true,
            BosPolicy.Never => false,
            _ => template switch
            {
                ChatTemplate.Llama3 or ChatTemplate.Gemma => tokenizer.SpecialTokens.Bos is not null,
                ChatTemplate.HumanAssistant => tokenizer.Encode("", EncodeOptions.Default).Bos == BosState.Added,
                _ => false,
            },
        };
        return !isAdded ? null : tokenizer.SpecialTokens.Bos ?? throw new ArgumentException("The tokenizer has no BOS token.", "bos");
    }

    /// <summary>Encodes what lies between two markers as one text, as if the markers had been found in the whole.</summary>
    private static ChatPrompt Encode(ITokenizer tokenizer, ChatTemplate template, IReadOnlyList<ChatPart> parts, int? bos)
    {
        var text = new StringBuilder();
        var ids = new List<int>();
        var spans = new List<TextSpan>();
        var contents = new List<(ChatPart Part, int Start)>();
        var run = new StringBuilder();
        if (bos is { } first)
        {
            ids.Add(first);
            spans.Add(default);
        }

        foreach (ChatPart part in parts)
        {
            if (part.Message is not null) contents.Add((part, text.Length + run.Length));
            if (part.Marker is not { } marker)
            {
                run.Append(part.Text);
                continue;
            }

            EncodeRun();
            ids.Add(marker);
            spans.Add(new TextSpan(text.Length, text.Length + part.Text.Length));
            text.Append(part.Text);
        }

        EncodeRun();
        return new ChatPrompt(template, new TokenizedText(text.ToString(), [.. ids], [.. spans], bos is null ? BosState.Absent : BosState.Added, EosAdded: false) { IsRendered = true }, contents);

        void EncodeRun()
        {
            if (run.Length == 0) return;
            int start = text.Length;
            TokenizedText encoded = tokenizer.Encode(run.ToString(), new EncodeOptions { Bos = BosPolicy.Never, ContinuesSequence = start > 0 });
            ids.AddRange(encoded.Ids);
            spans.AddRange(encoded.Spans.Select(span => new TextSpan(start + span.Start, start + span.End)));
            text.Append(run);
            run.Clear();
        }
    }

    private TokenSource[] FindSources()
    {
        var sources = new TokenSource[Rendered.Spans.Length];
        int next = 0;
        for (int i = 0; i < sources.Length; i++)
        {
            TextSpan span = Rendered.Spans[i];
            while (next < _contents.Count && _contents[next].Start + _contents[next].Part.Text.Length <= span.Start) next++;
            if (next == _contents.Count) break;
            (ChatPart part, int start) = _contents[next];
            if (!span.Overlaps(new TextSpan(start, start + part.Text.Length))) continue;
            int shift = part.Offset - start;
            sources[i] = new TokenSource(part.Message, new TextSpan(Math.Max(span.Start, start) + shift, Math.Min(span.End, start + part.Text.Length) + shift));
        }

        return sources;
    }
}
