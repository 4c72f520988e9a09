using Lab.Models.Corpora;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>
/// One generated Python module: imports, constants, functions, classes and a main program. It is valid Python laid out by PEP 8; what it
/// does has no meaning. Strings in calls are in single or double quotes, each half of the time.
/// </summary>
internal sealed class PythonProgram
{
    private readonly SeededRandom _random;
    private readonly PythonExpressions _expressions;
    private readonly PythonWriter _writer = new();
    private readonly PythonStatements _statements;
    private readonly PythonScope _module;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    private PythonProgram(SeededRandom random)
    {
        _random = random;
        _expressions = new PythonExpressions(random);
        _statements = new PythonStatements(random, _expressions, _writer);
        _module = new PythonScope(random);
    }

    /// <summary>Program <paramref name="index"/> of a seed.</summary>
    public static string Generate(long seed, long index) => new PythonProgram(new SeededRandom(seed, index)).Generate();

    private string Generate()
    {
        Constants();
        for (int parts = _random.Between(2, 6); parts > 0; parts--)
        {
            _writer.Blank(2);
            if (_random.Chance(25)) Class();
            else Function(_module, isMethod: false);
        }

        if (_random.Chance(60)) Main();
        return Head() + _writer;
    }

    /// <summary>The module's docstring and imports, which are known once all else is written.</summary>
    private string Head()
    {
        string docstring = _random.Chance(60) ? $"\"\"\"{Sentence()}\"\"\"\n\n" : "";
        string imports = string.Concat(_expressions.Modules.Select(module => $"import {module}\n"));
        return docstring + imports + (imports.Length > 0 ? "\n" : "");
    }

    private void Constants()
    {
        for (int i = _random.Between(1, 3); i > 0; i--)
        {
            PythonKind kind = (PythonKind)_random.Next(5);
            string name = _module.NewName(kind).ToUpperInvariant();
            if (!_names.Add(name)) continue;
            _statements.Line(() => $"{name} = {_expressions.Of(kind, new PythonScope(_random), 0)}");
            _module.Add(name, kind);
        }
    }

    private void Function(PythonScope outer, bool isMethod)
    {
        PythonScope scope = outer.Inner();
        string name = NewFunctionName();
        PythonKind[] kinds = [.. Enumerable.Range(0, _random.Between(isMethod ? 0 : 1, 3)).Select(_ => (PythonKind)_random.Next(5))];
        PythonKind result = (PythonKind)_random.Next(5);
        string[] parameters = Parameters(scope, kinds, isMethod);
        _writer.Block($"def {name}({string.Join(", ", parameters)}):", () =>
        {
            if (_random.Chance(40)) _writer.Line($"\"\"\"{Sentence()}\"\"\"");
            _statements.Body(scope, _random.Between(2, 6), depth: 2);
            if (_random.Chance(80)) _statements.Line(() => $"return {_expressions.Of(result, scope)}");
        });
        if (!isMethod) outer.Add(new PythonFunction(name, kinds, result));
    }

    private string[] Parameters(PythonScope scope, PythonKind[] kinds, bool isMethod)
    {
        var parameters = new List<string>();
        if (isMethod) parameters.Add("self");
        bool hasDefault = false;
        foreach (PythonKind kind in kinds)
        {
            string name = scope.NewName(kind);
            hasDefault |= _random.Chance(15);
            parameters.Add(hasDefault ? $"{name}={Default(kind)}" : name);
            scope.Add(name, kind);
        }

        return [.. parameters];
    }

    private string Default(PythonKind kind) => kind switch
    {
        PythonKind.Number => $"{_random.Next(10)}",
        PythonKind.Text => _expressions.Literal(_random.Pick(PythonWords.Nouns)),
        _ => "None",
    };

    private void Class()
    {
        string name = NewClassName();
        PythonScope scope = _module.Inner();
        _writer.Block($"class {name}{_random.Pick(["", "", "(object)", "(Exception)"])}:", () =>
        {
            if (_random.Chance(60))
            {
                _writer.Line($"\"\"\"{Sentence()}\"\"\"");
                _writer.Blank();
            }

            Constructor(scope);
            for (int methods = _random.Between(1, 4); methods > 0; methods--)
            {
                _writer.Blank();
                Function(scope, isMethod: true);
            }
        });
    }

    /// <summary>Writes __init__, whose attributes the scope knows from then on.</summary>
    private void Constructor(PythonScope scope)
    {
        PythonKind[] kinds = [.. Enumerable.Range(0, _random.Between(1, 4)).Select(_ => (PythonKind)_random.Next(5))];
        PythonScope inner = scope.Inner();
        string[] names = [.. kinds.Select(inner.NewName)];
        bool[] isGiven = [.. kinds.Select(_ => _random.Chance(60))];
        string given = string.Concat(names.Where((_, i) => isGiven[i]).Select(name => ", " + name));
        _writer.Block($"def __init__(self{given}):", () =>
        {
            for (int i = 0; i < names.Length; i++)
            {
                int index = i;
                _statements.Line(() => $"self.{names[index]} = {(isGiven[index] ? names[index] : _expressions.Of(kinds[index], _module, 1))}");
                scope.Add($"self.{names[i]}", kinds[i]);
            }
        });
    }

    private void Main()
    {
        _writer.Blank(2);
        _writer.Block("def main():", () => _statements.Body(_module.Inner(), _random.Between(2, 6), depth: 1));
        _writer.Blank(2);
        _writer.Block($"if __name__ == {_expressions.Literal("__main__")}:", () => _writer.Line("main()"));
    }

    private string Sentence()
    {
        string verb = _random.Pick(PythonWords.Verbs);
        return $"{char.ToUpperInvariant(verb[0])}{verb[1..]} the {_random.Pick(PythonWords.Adjectives)} {_random.Pick(PythonWords.Nouns)}.";
    }

    private string NewFunctionName()
    {
        while (true)
        {
            string name = $"{_random.Pick(PythonWords.Verbs)}_{(_random.Chance(20) ? _random.Pick(PythonWords.Adjectives) + "_" : "")}{_random.Pick(PythonWords.Nouns)}";
            if (_names.Add(name)) return name;
        }
    }

    private string NewClassName()
    {
        while (true)
        {
            string name = Capitalized(_random.Pick(PythonWords.Adjectives)) + Capitalized(_random.Pick(PythonWords.Nouns));
            if (_names.Add(name)) return name;
        }
    }

    private static string Capitalized(string word) => char.ToUpperInvariant(word[0]) + word[1..];
}
