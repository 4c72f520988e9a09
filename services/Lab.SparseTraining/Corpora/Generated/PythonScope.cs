using Lab.Models.Corpora;
using Lab.Models.Tasks;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>What a value is, as far as the generator cares.</summary>
internal enum PythonKind
{
    Number,
    Text,
    Numbers,
    Texts,

    /// <summary>A dictionary from text to numbers.</summary>
    Table,
}

/// <summary>A function that can be called: its name, what it takes and what it gives.</summary>
internal sealed record PythonFunction(string Name, IReadOnlyList<PythonKind> Parameters, PythonKind Result);

/// <summary>The names that can be used at a place in a program.</summary>
internal sealed class PythonScope(SeededRandom random, PythonScope? outer = null)
{
    // What plurals of nouns would hide: a builtin and a module.
    private static readonly HashSet<string> _reserved = ["bytes", "warnings"];

    private readonly List<(string Name, PythonKind Kind)> _variables = outer is null ? [] : [.. outer._variables];
    private readonly List<PythonFunction> _functions = outer is null ? [] : [.. outer._functions];
    private readonly HashSet<string> _taken = outer is null ? [] : [.. outer._taken];

    /// <summary>The functions that can be called.</summary>
    public IReadOnlyList<PythonFunction> Functions => _functions;

    /// <summary>A scope within this one; what is declared there is not seen here.</summary>
    public PythonScope Inner() => new(random, this);

    /// <summary>Makes a function known.</summary>
    public void Add(PythonFunction function) => _functions.Add(function);

    /// <summary>Makes a name known.</summary>
    public void Add(string name, PythonKind kind)
    {
        _taken.Add(name);
        _variables.Add((name, kind));
    }

    /// <summary>A known name of a kind; recent ones are likelier. Null if there is none.</summary>
    public string? Find(PythonKind kind)
    {
        string[] names = [.. _variables.Where(v => v.Kind == kind).Select(v => v.Name)];
        if (names.Length == 0) return null;
        return random.Chance(50) ? names[^(1 + random.Next(Math.Min(2, names.Length)))] : random.Pick(names);
    }

    /// <summary>A name that is not known yet, such as one would give to a value of the kind. It is taken, but not known, from now on.</summary>
    public string NewName(PythonKind kind)
    {
        while (true)
        {
            string name = Draw(kind);
            if (!_reserved.Contains(name) && _taken.Add(name)) return name;
        }
    }

    private string Draw(PythonKind kind)
    {
        string noun = random.Pick(PythonWords.Nouns);
        string stem = random.Chance(30) ? $"{random.Pick(PythonWords.Adjectives)}_{noun}" : noun;
        return kind switch
        {
            PythonKind.Number => random.Next(10) switch
            {
                0 => random.Pick(PythonWords.Letters),
                1 => noun + "_count",
                2 => "total_" + noun,
                3 => "max_" + noun,
                _ => stem,
            },
            PythonKind.Text => random.Next(8) switch { 0 => noun + "_name", 1 => noun + "_path", 2 => noun + "_text", _ => stem },
            PythonKind.Numbers or PythonKind.Texts => random.Next(8) switch
            {
                0 => noun + "_list",
                1 => "all_" + EnglishPlural.Of(noun),
                _ => (random.Chance(25) ? random.Pick(PythonWords.Adjectives) + "_" : "") + EnglishPlural.Of(noun),
            },
            _ => random.Next(5) switch
            {
                0 => noun + "_map",
                1 => noun + "_by_" + random.Pick(PythonWords.Nouns),
                2 => noun + "_options",
                3 => noun + "_counts",
                _ => stem + "_info",
            },
        };
    }
}
