namespace Lab.Models.Tokenizers.Chat;

/// <summary>How a conversation is turned into a prompt.</summary>
public sealed record ChatOptions
{
    /// <summary>Whether the prompt ends where the assistant's next message begins. True by default.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Whether the last message is left open, so that the model goes on with it; then <see cref="AddGenerationPrompt"/> must be false.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>Whether <see cref="ChatTemplate.ChatMl"/> gets the system message of Qwen2, "You are a helpful assistant.", where the messages begin with none. False by default.</summary>
    public bool AddDefaultSystem { get; init; }

    /// <summary>Whether BOS is added; the default is that of the template.</summary>
    public BosPolicy Bos { get; init; } = BosPolicy.Default;
}
