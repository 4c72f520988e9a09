namespace Lab.Models.Tokenizers.Chat;

/// <summary>Where a token of a prompt came from.</summary>
/// <param name="Message">The index of the message of whose content it covers a part, the first of them if it covers two; null for a token of the template.</param>
/// <param name="Span">What it covers of that content; empty without a message. A token may cover a part of the template too.</param>
public readonly record struct TokenSource(int? Message, TextSpan Span);
