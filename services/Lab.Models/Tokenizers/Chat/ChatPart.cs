namespace Lab.Models.Tokenizers.Chat;

/// <summary>A part of a conversation as written: a marker, text of the template, or content.</summary>
/// <param name="Text">Its text.</param>
/// <param name="Marker">The id, for a marker.</param>
/// <param name="Message">The index of the message, for content.</param>
/// <param name="Offset">Where the text begins in the message's content.</param>
internal sealed record ChatPart(string Text, int? Marker = null, int? Message = null, int Offset = 0);
