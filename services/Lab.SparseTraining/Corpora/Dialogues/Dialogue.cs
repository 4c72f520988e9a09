using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>A dialogue, as a line of a JSON-lines file: {"turns":[{"role":"user","text":"..."}]}.</summary>
/// <param name="Turns">At least one.</param>
internal sealed record Dialogue([property: JsonPropertyName("turns"), JsonRequired] IReadOnlyList<DialogueTurnText> Turns)
{
    private static readonly JsonSerializerOptions _json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads a line. Further members, such as an id, are ignored.</summary>
    /// <exception cref="FormatException">It is not a dialogue; the message says why.</exception>
    public static Dialogue Parse(string line)
    {
        Dialogue? dialogue;
        try
        {
            dialogue = JsonSerializer.Deserialize<Dialogue>(line, _json);
        }
        catch (JsonException e)
        {
            throw new FormatException($"not a dialogue such as {{\"turns\":[{{\"role\":\"user\",\"text\":\"...\"}}]}}: {e.Message}", e);
        }

        if (dialogue?.Turns is not { Count: > 0 }) throw new FormatException("a dialogue has at least one turn");
        foreach (DialogueTurnText turn in dialogue.Turns)
        {
            if (turn?.Role is not (DialogueTurnText.User or DialogueTurnText.Assistant)) throw new FormatException($"the role '{turn?.Role}' is neither user nor assistant");
            if (string.IsNullOrWhiteSpace(turn.Text)) throw new FormatException("a turn has no text");
        }

        return dialogue;
    }

    /// <summary>The line of JSON.</summary>
    public string ToLine() => JsonSerializer.Serialize(this, _json);
}

/// <summary>A turn of a dialogue.</summary>
/// <param name="Role">"user" or "assistant".</param>
/// <param name="Text">What is said.</param>
internal sealed record DialogueTurnText([property: JsonPropertyName("role"), JsonRequired] string Role, [property: JsonPropertyName("text"), JsonRequired] string Text)
{
    public const string User = "user", Assistant = "assistant";
}
