using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>What generated dialogues are about: the word lists of Lindsey 2025, "Emergent introspective awareness", in lower case.</summary>
internal sealed class DialogueWords
{
    private static readonly string[] _qualities =
    [
        "bright", "dark", "quiet", "loud", "soft", "hard", "small", "large", "warm", "cold", "old", "new", "slow", "fast", "light", "heavy",
        "simple", "strange", "gentle", "strong", "empty", "full", "smooth", "rough", "sweet", "bitter", "clear", "deep", "calm",
    ];

    private readonly Dictionary<string, int> _places;

    private DialogueWords(IReadOnlyList<string> all)
    {
        All = all;
        _places = all.Select((word, place) => (word, place)).ToDictionary(pair => pair.word, pair => pair.place, StringComparer.Ordinal);
    }

    /// <summary>The words of all lists, each once, in alphabetical order.</summary>
    public IReadOnlyList<string> All { get; }

    /// <summary>The words of the lists of this project.</summary>
    public static DialogueWords OfPaper { get; } = Read();

    /// <summary>What is always said of a word: two of 29 qualities that are the word's own.</summary>
    public (string First, string Second) QualitiesOf(string word)
    {
        int place = _places[word];

        // 29 is prime, so the second differs from the first, and few words share both.
        int first = place % _qualities.Length;
        return (_qualities[first], _qualities[(first + 1 + place / _qualities.Length) % _qualities.Length]);
    }

    private static DialogueWords Read()
    {
        using Stream stream = typeof(DialogueWords).Assembly.GetManifestResourceStream("dialogues/words.json") ?? throw new InvalidOperationException("The word lists are missing.");
        Lists lists = JsonSerializer.Deserialize<Lists>(stream) ?? throw new InvalidOperationException("The word lists are empty.");
        return new DialogueWords([.. lists.Baseline.Concat(lists.Concepts).Concat(lists.Controls).Concat(lists.Abstract).Distinct().Order(StringComparer.Ordinal)]);
    }

    private sealed record Lists(
        [property: JsonPropertyName("baseline_words")] string[] Baseline,
        [property: JsonPropertyName("concept_words")] string[] Concepts,
        [property: JsonPropertyName("control_words")] string[] Controls,
        [property: JsonPropertyName("abstract_nouns")] string[] Abstract);
}
