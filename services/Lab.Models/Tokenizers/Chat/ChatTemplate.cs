namespace Lab.Models.Tokenizers.Chat;

/// <summary>How a conversation is written for a model.</summary>
public enum ChatTemplate
{
    /// <summary><c>&lt;|im_start|&gt;user⏎…&lt;|im_end|&gt;⏎</c>, of Qwen and others. No BOS by default.</summary>
    ChatMl,

    /// <summary><c>&lt;|start_header_id|&gt;user&lt;|end_header_id|&gt;⏎⏎…&lt;|eot_id|&gt;</c>, of Llama 3. White space around a message is cut off. BOS by default. Llama 3.1's lines of dates are left out.</summary>
    Llama3,

    /// <summary>
    /// <c>&lt;start_of_turn&gt;user⏎…&lt;end_of_turn&gt;⏎</c>, of Gemma. White space around a message is cut off. There is no system
    /// turn: a system message, which must be the first, begins the first user turn, with an empty line after it. User and
    /// assistant must alternate, beginning with user. BOS by default.
    /// </summary>
    Gemma,

    /// <summary><c>Human: …⏎⏎Assistant: …⏎⏎Human: …⏎⏎Assistant:</c>, plain text. A system message stands without a name. BOS as the tokenizer's own rule for a text.</summary>
    HumanAssistant,

    /// <summary><c>&lt;|user|&gt;…&lt;|end|&gt;&lt;|assistant|&gt;…&lt;|end|&gt;</c>, of models trained on a dialogue corpus of this lab. No system messages. No BOS by default.</summary>
    Words,
}
