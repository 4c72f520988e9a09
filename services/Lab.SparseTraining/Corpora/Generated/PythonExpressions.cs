using Lab.Models.Corpora;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>Expressions of a kind over the names of a scope, and the modules they need.</summary>
internal sealed class PythonExpressions(SeededRandom random)
{
    private static readonly string[] _comparisons = ["<", ">", "<=", ">=", "==", "!="];
    private static readonly string[] _operators = ["+", "-", "*", "//", "%"];

    private readonly SortedSet<string> _modules = new(StringComparer.Ordinal);

    /// <summary>The modules that were used.</summary>
    public IReadOnlyCollection<string> Modules => _modules;

    /// <summary>A module's name, which from now on has to be imported.</summary>
    public string Use(string module)
    {
        _modules.Add(module);
        return module;
    }

    /// <summary>An expression of a kind; the smaller <paramref name="depth"/>, the simpler.</summary>
    public string Of(PythonKind kind, PythonScope scope, int depth = 2)
    {
        if (random.Chance(depth <= 0 ? 75 : 30) && scope.Find(kind) is { } name) return name;
        if (depth > 0 && random.Chance(20) && scope.Functions.Where(f => f.Result == kind).ToArray() is { Length: > 0 } functions) return Call(random.Pick(functions), scope, depth - 1);
        return kind switch
        {
            PythonKind.Number => Number(scope, depth - 1),
            PythonKind.Text => Text(scope, depth - 1),
            PythonKind.Numbers => Numbers(scope, depth - 1),
            PythonKind.Texts => Texts(scope, depth - 1),
            _ => Table(scope, depth - 1),
        };
    }

    /// <summary>A string literal; either quote is as likely.</summary>
    public string Literal(string text)
    {
        char quote = random.Chance(50) ? '"' : '\'';
        return $"{quote}{text}{quote}";
    }

    /// <summary>A few words for people to read, without quotes in them.</summary>
    public string Phrase()
    {
        string noun = random.Pick(PythonWords.Nouns);
        string adjective = random.Pick(PythonWords.Adjectives), verb = random.Pick(PythonWords.Verbs), outcome = random.Pick(PythonWords.Outcomes);
        string phrase = random.Next(12) switch
        {
            0 => noun,
            1 => $"{adjective} {noun}",
            2 => $"{PythonWords.Gerund(verb)} {noun}",
            3 => $"{noun} {outcome}",
            4 => $"{noun} not {outcome}",
            5 => $"cannot {verb} {noun}",
            6 => $"the {noun} is {outcome}",
            7 => $"{PythonWords.Gerund(verb)} the {adjective} {noun}",
            8 => $"no {noun} in the {random.Pick(PythonWords.Nouns)}",
            9 => $"{adjective} {noun} {outcome}",
            10 => $"{noun} must be {outcome}",
            _ => $"failed to {verb} the {noun}",
        };
        return random.Chance(25) ? char.ToUpperInvariant(phrase[0]) + phrase[1..] : phrase;
    }

    /// <summary>A string literal for people to read: plain, or formatted with names of the scope.</summary>
    public string Message(PythonScope scope)
    {
        string? name = random.Chance(40) ? scope.Find(random.Chance(50) ? PythonKind.Number : PythonKind.Text) : null;
        if (name is null) return Literal(Phrase() + (random.Chance(8) ? random.Pick(["...", "!", ":", "\\n"]) : ""));
        return random.Next(4) switch
        {
            0 => "f" + Literal($"{{{name}}} {random.Pick(PythonWords.Nouns)}"),
            1 => "f" + Literal($"{Phrase()} ({{{name}}})"),
            2 => Literal(Phrase() + ": %s") + $" % {name}",
            _ => "f" + Literal($"{Phrase()}: {{{name}}}"),
        };
    }

    /// <summary>A condition.</summary>
    public string Condition(PythonScope scope, int depth = 1)
    {
        int choice = random.Next(depth > 0 ? 12 : 9);
        return choice switch
        {
            0 or 1 => $"{Of(PythonKind.Number, scope, 0)} {random.Pick(_comparisons)} {random.Next(20)}",
            2 => $"{Of(PythonKind.Number, scope, 0)} {random.Pick(_comparisons)} {Of(PythonKind.Number, scope, 0)}",
            3 => $"{Of(PythonKind.Text, scope, 0)} {random.Pick(["==", "!="])} {Literal(random.Pick(PythonWords.Nouns))}",
            4 => $"{Of(PythonKind.Text, scope, 0)} {random.Pick(["in", "not in"])} {Name(PythonKind.Texts, scope)}",
            5 => $"not {Name(random.Pick([PythonKind.Texts, PythonKind.Table, PythonKind.Text]), scope)}",
            6 => $"{Literal(random.Pick(PythonWords.Nouns))} in {Name(PythonKind.Table, scope)}",
            7 => $"{Name(PythonKind.Text, scope)}.{random.Pick(["startswith", "endswith"])}({Literal(random.Pick(PythonWords.Nouns)[..2])})",
            8 when scope.Find((PythonKind)random.Next(5)) is { } name => $"{name} is {random.Pick(["None", "not None"])}",
            8 => $"{Of(PythonKind.Numbers, scope, 0)} == []",
            9 => $"{Condition(scope, 0)} {random.Pick(["and", "or"])} {Condition(scope, 0)}",
            10 => $"isinstance({Name(PythonKind.Text, scope)}, str)",
            _ => $"{Use("os")}.path.exists({Name(PythonKind.Text, scope)})",
        };
    }

    /// <summary>A call of a function with arguments of the right kinds.</summary>
    public string Call(PythonFunction function, PythonScope scope, int depth) =>
        $"{function.Name}({string.Join(", ", function.Parameters.Select(p => Of(p, scope, Math.Min(depth, 1))))})";

    /// <summary>A known name of a kind or, where there is none, a literal to which methods can be applied.</summary>
    public string Name(PythonKind kind, PythonScope scope) => scope.Find(kind) ?? kind switch
    {
        PythonKind.Number => $"{random.Next(100)}",
        PythonKind.Text => Literal(random.Pick(PythonWords.Nouns)),
        PythonKind.Numbers => NumberList(),
        PythonKind.Texts => TextList(),
        _ => TableOf(1),
    };

    private string Number(PythonScope scope, int depth) => random.Next(depth >= 0 ? 11 : 2) switch
    {
        0 or 1 => Digits(),
        2 or 3 => $"{Of(PythonKind.Number, scope, -1)} {random.Pick(_operators)} {Atom(scope)}",
        4 => $"len({Name(random.Pick([PythonKind.Texts, PythonKind.Text, PythonKind.Table]), scope)})",
        5 => $"sum({Of(PythonKind.Numbers, scope, depth)})",
        6 => $"{random.Pick(["max", "min"])}({Of(PythonKind.Number, scope, 0)}, {Of(PythonKind.Number, scope, 0)})",
        7 => $"int({Name(PythonKind.Text, scope)})",
        8 => $"{Name(PythonKind.Table, scope)}.get({Literal(random.Pick(PythonWords.Nouns))}, {random.Next(3)})",
        9 => $"{Name(PythonKind.Table, scope)}[{Literal(random.Pick(PythonWords.Nouns))}]",
        _ => random.Chance(50) ? $"{Use("math")}.floor({Of(PythonKind.Number, scope, 0)} / {random.Between(2, 9)})" : $"{Use("random")}.randint(0, {random.Between(1, 100)})",
    };

    private string Text(PythonScope scope, int depth) => random.Next(depth >= 0 ? 11 : 3) switch
    {
        0 => Literal(random.Pick(PythonWords.Nouns)),
        1 => Literal(Phrase()),
        2 => Literal($"{random.Pick(PythonWords.Nouns)}.{random.Pick(PythonWords.Extensions)}"),
        3 => $"{Name(PythonKind.Text, scope)}.{random.Pick(["strip", "lower", "upper", "title"])}()",
        4 => $"{Name(PythonKind.Text, scope)}.replace({Literal(random.Pick(["-", " ", "_", "."]))}, {Literal(random.Pick(["", "_", " "]))})",
        5 => $"str({Of(PythonKind.Number, scope, 0)})",
        6 => $"{Literal(random.Pick([", ", " ", "-", "\\n", "/"]))}.join({Of(PythonKind.Texts, scope, 0)})",
        7 => $"{Use("os")}.path.join({Name(PythonKind.Text, scope)}, {Literal(random.Pick(PythonWords.Nouns))})",
        8 => Message(scope),
        9 => $"{Use("os")}.environ.get({Literal(random.Pick(PythonWords.Nouns).ToUpperInvariant())}, {Literal(random.Pick(PythonWords.Nouns))})",
        _ => $"{Name(PythonKind.Text, scope)}[{random.Pick(["1:", ":-1", $":{random.Between(2, 9)}", "0"])}]",
    };

    private string Numbers(PythonScope scope, int depth) => random.Next(depth >= 0 ? 6 : 2) switch
    {
        0 => "[]",
        1 => NumberList(),
        2 => $"[len(word) for word in {Name(PythonKind.Texts, scope)}]",
        3 => $"[value * {random.Between(2, 9)} for value in {Name(PythonKind.Numbers, scope)} if value > {random.Next(10)}]",
        4 => $"list(range({Of(PythonKind.Number, scope, 0)}))",
        _ => $"sorted({Name(PythonKind.Table, scope)}.values())",
    };

    private string Texts(PythonScope scope, int depth) => random.Next(depth >= 0 ? 8 : 2) switch
    {
        0 => "[]",
        1 => TextList(),
        2 => $"{Name(PythonKind.Text, scope)}.split({Literal(random.Pick([",", ":", " ", "/", "\\n"]))})",
        3 => $"sorted({Name(PythonKind.Texts, scope)})",
        4 => $"[word.strip() for word in {Name(PythonKind.Texts, scope)}]",
        5 => $"[word for word in {Name(PythonKind.Texts, scope)} if word != {Literal(random.Pick(PythonWords.Nouns))}]",
        6 => $"list({Name(PythonKind.Table, scope)}.keys())",
        _ => $"{Name(PythonKind.Texts, scope)}[{random.Pick(["1:", ":-1", ":3", "::-1"])}]",
    };

    private string Table(PythonScope scope, int depth) => random.Next(depth >= 0 ? 5 : 2) switch
    {
        0 => "{}",
        1 => TableOf(random.Between(1, 3)),
        2 => $"{{word: len(word) for word in {Name(PythonKind.Texts, scope)}}}",
        3 => $"dict(zip({Name(PythonKind.Texts, scope)}, {Name(PythonKind.Numbers, scope)}))",
        _ => $"{{key: 0 for key in {Name(PythonKind.Texts, scope)}}}",
    };

    private string Digits() => random.Next(6) switch { 0 => $"{random.Next(1000)}", 1 => $"{random.Next(10)}.{random.Next(100)}", 2 => $"-{random.Between(1, 9)}", _ => $"{random.Next(20)}" };

    private string Atom(PythonScope scope) => random.Chance(50) ? $"{random.Between(1, 20)}" : Name(PythonKind.Number, scope);

    private string NumberList() => $"[{string.Join(", ", Enumerable.Range(0, random.Between(2, 6)).Select(_ => random.Next(100)))}]";

    private string TextList() => $"[{string.Join(", ", Enumerable.Range(0, random.Between(2, 4)).Select(_ => Literal(random.Pick(PythonWords.Nouns))))}]";

    private string TableOf(int entries) =>
        $"{{{string.Join(", ", Enumerable.Range(0, entries).Select(_ => $"{Literal(random.Pick(PythonWords.Nouns))}: {random.Next(100)}"))}}}";
}
