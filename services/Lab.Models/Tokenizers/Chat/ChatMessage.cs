namespace Lab.Models.Tokenizers.Chat;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who says it.</param>
/// <param name="Content">What is said. Markers of a template in it are plain text.</param>
public sealed record ChatMessage(ChatRole Role, string Content);
