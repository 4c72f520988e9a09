using Lab.Models.Corpora;

namespace Lab.Models.Tasks;

/// <summary>Draws what stands for the placeholders of one template. Names are distinct within it.</summary>
internal sealed class TemplateValues(SeededRandom random, TaskWords words)
{
    private static readonly string[] _letters = ["i", "j", "k", "n", "x", "y", "a", "b", "m", "p"];
    private static readonly string[] _extensions = ["txt", "csv", "json", "log", "dat", "xml", "md", "ini"];
    private static readonly string[] _comparisons = ["<", ">", "<=", ">=", "==", "!="];

    // Which files are read and which are written is something to be known, so the words are the same in every split.
    private static readonly string[] _read = ["input", "source", "config", "settings", "sample", "template", "dataset", "readme", "original", "request"];
    private static readonly string[] _written = ["output", "result", "report", "backup", "export", "summary", "archive", "log", "copy", "response"];

    // Words that are Python's own, or functions that templates call.
    private static readonly HashSet<string> _reserved = new(StringComparer.Ordinal)
    {
        "class", "import", "list", "object", "type", "input", "print", "range", "open", "set", "format", "filter", "map", "sum", "next", "len",
        "def", "global", "private", "pass", "return", "os", "print", "hash", "id", "sorted", "enumerate", "lambda", "and", "not", "is", "or",
    };

    private readonly HashSet<string> _taken = new(_reserved, StringComparer.Ordinal);
    private readonly List<string> _names = [];

    /// <summary>The kinds of values.</summary>
    public static IReadOnlySet<string> Kinds { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        "var", "items", "func", "class", "letter", "num", "nums", "long", "rows", "phrase", "word", "in", "out", "ext", "q", "cmp", "line", "block", "call",
    };

    /// <summary>The variables drawn so far.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>The kind of a placeholder such as "var2".</summary>
    public static string KindOf(string placeholder) => placeholder.TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9');

    /// <summary>A value for a placeholder.</summary>
    public string Draw(string placeholder) => KindOf(placeholder) switch
    {
        "var" => Name(Variable),
        "items" => Name(() => random.Chance(15) ? random.Pick(words.Nouns) + "_list" : EnglishPlural.Of(random.Pick(words.Nouns))),
        "func" => Distinct(() => $"{random.Pick(words.Actions)}_{random.Pick(words.Nouns)}"),
        "class" => Distinct(() => (random.Chance(50) ? Capitalized(random.Pick(words.Qualities)) : "") + Capitalized(random.Pick(words.Nouns))),
        "letter" => Distinct(() => random.Pick(_letters)),
        "num" => Number(),
        "nums" => Numbers(1, 6),
        "long" => Numbers(8, 20),
        "rows" => string.Join(", ", Enumerable.Range(0, random.Between(1, 3)).Select(_ => $"[{Numbers(1, 5)}]")),
        "phrase" => Phrase(),
        "word" => Distinct(() => random.Pick(words.Nouns)),
        "in" => FileStem(random.Pick(_read)),
        "out" => FileStem(random.Pick(_written)),
        "ext" => random.Pick(_extensions),
        "q" => random.Chance(50) ? "\"" : "'",
        "cmp" => random.Pick(_comparisons),
        "line" => random.Pick(words.Lines),
        "block" => random.Pick(words.Blocks),
        "call" => random.Pick(words.Calls),
        _ => throw new ArgumentOutOfRangeException(nameof(placeholder), placeholder, "There is no such kind of value."),
    };

    private static string Capitalized(string word) => char.ToUpperInvariant(word[0]) + word[1..];

    private string Variable() => random.Next(20) switch
    {
        < 3 => random.Pick(_letters),
        < 7 => $"{random.Pick(words.Qualities)}_{random.Pick(words.Nouns)}",
        _ => random.Pick(words.Nouns),
    };

    private string Name(Func<string> draw)
    {
        string name = Distinct(draw);
        _names.Add(name);
        return name;
    }

    private string Distinct(Func<string> draw)
    {
        while (true)
        {
            string name = draw();
            if (_taken.Add(name)) return name;
        }
    }

    private string Number() => random.Chance(80) ? $"{random.Next(21)}" : $"{random.Next(1000)}";

    private string Numbers(int least, int most) => string.Join(", ", Enumerable.Range(0, random.Between(least, most)).Select(_ => random.Next(100)));

    private string FileStem(string word) => random.Next(8) switch
    {
        < 4 => word,
        < 6 => $"{word}_{random.Between(1, 20)}",
        _ => $"{random.Pick(words.Nouns)}_{word}",
    };

    private string Phrase()
    {
        string noun = random.Pick(words.Nouns);
        string phrase = random.Next(18) switch
        {
            < 2 => noun,
            < 4 => $"{random.Pick(words.Qualities)} {noun}",
            < 6 => $"{random.Pick(words.Actions)} {noun}",
            < 8 => $"{noun} {random.Pick(words.Links)} {random.Pick(words.Outcomes)}",
            < 10 => $"{random.Pick(words.Actions)} {random.Pick(words.Qualities)} {noun}",
            < 12 => $"{noun} {random.Pick(words.Nouns)}",
            < 14 => $"{random.Pick(words.Qualities)} {noun} {random.Pick(words.Outcomes)}",
            < 17 => $"{random.Pick(words.Qualities)} {noun} {random.Pick(words.Links)} {random.Pick(words.Outcomes)}",
            _ => $"{noun} ({random.Pick(words.Qualities)}) {random.Pick(words.Links)} {random.Pick(words.Outcomes)}",
        };
        return random.Chance(15) ? Capitalized(phrase) : phrase;
    }
}
