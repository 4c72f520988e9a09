using Lab.Models.Corpora;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>Statements over the names of a scope.</summary>
internal sealed class PythonStatements(SeededRandom random, PythonExpressions expressions, PythonWriter writer)
{
    private const int Attempts = 6;

    private static readonly string[] _errors = ["ValueError", "TypeError", "KeyError", "RuntimeError", "OSError", "IndexError"];

    /// <summary>Writes a body of a few statements.</summary>
    public void Body(PythonScope scope, int statements, int depth, bool isInLoop = false)
    {
        for (int i = 0; i < statements; i++) Statement(scope, depth, isInLoop && i == statements - 1);
    }

    /// <summary>Writes the first of a few drawn lines that fits, or else the last.</summary>
    public void Line(Func<string> draw)
    {
        string line = draw();
        for (int i = 1; i < Attempts && !writer.Fits(line); i++) line = draw();
        writer.Line(line);
    }

    /// <summary>Writes the assignment of a new name, which is known from then on.</summary>
    public void Assign(PythonScope scope, PythonKind kind)
    {
        string name = scope.NewName(kind);
        Line(() => $"{name} = {expressions.Of(kind, scope)}");
        scope.Add(name, kind);
    }

    /// <summary>Writes a call whose last argument is a message.</summary>
    public void Say(PythonScope scope) => Line(() => random.Next(11) switch
    {
        0 or 1 or 2 => $"print({expressions.Message(scope)})",
        3 => $"print({expressions.Literal(expressions.Phrase())}, {expressions.Of(AnyKind(), scope, 0)})",
        4 => $"print({expressions.Of(AnyKind(), scope, 1)})",
        5 => $"{expressions.Use("logging")}.{random.Pick(["info", "debug", "warning", "error"])}({expressions.Message(scope)})",
        6 => $"{expressions.Use("sys")}.{random.Pick(["stdout", "stderr"])}.write({expressions.Literal(expressions.Phrase())})",
        7 => $"{expressions.Name(PythonKind.Texts, scope)}.append({expressions.Literal(expressions.Phrase())})",
        8 => $"{expressions.Use("warnings")}.warn({expressions.Literal(expressions.Phrase())})",
        9 => $"print({expressions.Message(scope)}, file={expressions.Use("sys")}.stderr)",
        _ => $"print({expressions.Literal(expressions.Phrase())})",
    });

    private PythonKind AnyKind() => (PythonKind)random.Next(5);

    private void Statement(PythonScope scope, int depth, bool mayLeaveLoop)
    {
        if (mayLeaveLoop && random.Chance(15))
        {
            writer.Block($"if {expressions.Condition(scope, 0)}:", () => writer.Line(random.Pick(["break", "continue"])));
            return;
        }

        if (random.Chance(6)) Line(() => $"# {expressions.Phrase()}");
        switch (random.Next(depth > 0 ? 100 : 60))
        {
            case < 22: Assign(scope, AnyKind()); break;
            case < 40: Say(scope); break;
            case < 54: Change(scope); break;
            case < 57: Nested(scope); break;
            case < 60: Spread(scope); break;
            case < 76: If(scope, depth - 1); break;
            case < 88: For(scope, depth - 1); break;
            case < 91: While(scope, depth - 1); break;
            case < 96: With(scope, depth - 1); break;
            default: Try(scope, depth - 1); break;
        }
    }

    private void Change(PythonScope scope) => Line(() => random.Next(7) switch
    {
        0 or 1 when scope.Find(PythonKind.Number) is { } number => $"{number} {random.Pick(["+=", "-=", "*="])} {expressions.Of(PythonKind.Number, scope, 0)}",
        2 when scope.Find(PythonKind.Text) is { } text => $"{text} += {expressions.Literal(random.Pick(PythonWords.Nouns))}",
        3 or 4 when scope.Find(PythonKind.Table) is { } table => $"{table}[{expressions.Literal(random.Pick(PythonWords.Nouns))}] = {expressions.Of(PythonKind.Number, scope, 1)}",
        5 when scope.Find(PythonKind.Numbers) is { } numbers => $"{numbers}.append({expressions.Of(PythonKind.Number, scope, 1)})",
        _ when scope.Find(PythonKind.Texts) is { } texts => $"{texts}.{random.Pick(["append", "append", "remove"])}({expressions.Of(PythonKind.Text, scope, 1)})",
        _ => $"print({expressions.Message(scope)})",
    });

    /// <summary>A literal of brackets within brackets.</summary>
    private void Nested(PythonScope scope)
    {
        string name = scope.NewName(PythonKind.Numbers);
        string[] rows = [.. Enumerable.Range(0, random.Between(2, 4)).Select(_ => Row(random.Chance(30)))];
        string line = $"{name} = [{string.Join(", ", rows)}]";
        if (writer.Fits(line) && random.Chance(60))
        {
            writer.Line(line);
            return;
        }

        writer.Block($"{name} = [", () => Array.ForEach(rows, row => writer.Line(row + ",")));
        writer.Line("]");

        string Row(bool isDeep) => isDeep
            ? $"[[{random.Next(20)}, {random.Next(20)}], {random.Next(20)}]"
            : $"[{string.Join(", ", Enumerable.Range(0, random.Between(2, 4)).Select(_ => random.Next(20)))}]";
    }

    /// <summary>A dictionary over several lines.</summary>
    private void Spread(PythonScope scope)
    {
        string name = scope.NewName(PythonKind.Table);
        writer.Block($"{name} = {{", () =>
        {
            for (int i = random.Between(2, 4); i > 0; i--) Line(() => $"{expressions.Literal(random.Pick(PythonWords.Nouns))}: {expressions.Of(PythonKind.Number, scope, 1)},");
        });
        writer.Line("}");
        scope.Add(name, PythonKind.Table);
    }

    private void If(PythonScope scope, int depth)
    {
        Line(() => $"if {expressions.Condition(scope)}:");
        Indented(scope, depth, isLoop: false);
        if (random.Chance(20))
        {
            Line(() => $"elif {expressions.Condition(scope)}:");
            Indented(scope, depth, isLoop: false);
        }

        if (!random.Chance(40)) return;
        writer.Line("else:");
        Indented(scope, depth, isLoop: false);
    }

    private void For(PythonScope scope, int depth)
    {
        PythonScope inner = scope.Inner();
        string item = inner.NewName(PythonKind.Text), number = inner.NewName(PythonKind.Number);
        (string head, PythonKind[] kinds) = random.Next(5) switch
        {
            0 => ($"for {number} in range({expressions.Of(PythonKind.Number, scope, 0)}):", new[] { PythonKind.Number }),
            1 => ($"for {number}, {item} in enumerate({expressions.Name(PythonKind.Texts, scope)}):", [PythonKind.Number, PythonKind.Text]),
            2 => ($"for {item}, {number} in {expressions.Name(PythonKind.Table, scope)}.items():", [PythonKind.Text, PythonKind.Number]),
            3 => ($"for {number} in {expressions.Of(PythonKind.Numbers, scope, 1)}:", [PythonKind.Number]),
            _ => ($"for {item} in {expressions.Of(PythonKind.Texts, scope, 1)}:", [PythonKind.Text]),
        };
        foreach (PythonKind kind in kinds) inner.Add(kind == PythonKind.Text ? item : number, kind);
        writer.Line(head);
        Indented(inner, depth, isLoop: true);
    }

    private void While(PythonScope scope, int depth)
    {
        string number = scope.Find(PythonKind.Number) ?? "0";
        bool isCountdown = number != "0";
        Line(() => isCountdown ? $"while {number} > {random.Next(10)}:" : "while True:");
        writer.Indent(() =>
        {
            Body(scope.Inner(), random.Between(1, 2), depth);
            writer.Line(isCountdown ? $"{number} -= 1" : "break");
        });
    }

    private void With(PythonScope scope, int depth)
    {
        PythonScope inner = scope.Inner();
        string stream = random.Pick(["stream", "handle", "out", "source_file", "f"]);
        bool isRead = random.Chance(60);
        Line(() => $"with open({expressions.Of(PythonKind.Text, scope, 0)}{(isRead ? random.Pick(["", ", " + expressions.Literal("r")]) : ", " + expressions.Literal("w"))}) as {stream}:");
        writer.Indent(() =>
        {
            if (isRead)
            {
                string name = inner.NewName(PythonKind.Texts);
                bool isText = random.Chance(50);
                writer.Line($"{name} = {stream}.{(isText ? "read" : "readlines")}()");
                inner.Add(name, isText ? PythonKind.Text : PythonKind.Texts);
                Body(inner, random.Between(0, 2), depth);
                return;
            }

            Line(() => $"{stream}.write({expressions.Message(inner)})");
            Body(inner, random.Next(2), depth);
        });
    }

    private void Try(PythonScope scope, int depth)
    {
        writer.Line("try:");
        Indented(scope, depth, isLoop: false);
        string error = random.Pick(_errors);
        bool isNamed = random.Chance(50);
        writer.Block(isNamed ? $"except {error} as error:" : $"except {error}:", () =>
        {
            if (isNamed) Line(() => $"print({expressions.Literal(expressions.Phrase())}, error)");
            else Say(scope.Inner());
            if (random.Chance(40)) Line(() => $"raise {random.Pick(_errors)}({expressions.Message(scope)}){(isNamed ? " from error" : "")}");
        });
    }

    private void Indented(PythonScope scope, int depth, bool isLoop) => writer.Indent(() =>
    {
        if (!isLoop && random.Chance(12))
        {
            Line(() => $"raise {random.Pick(_errors)}({expressions.Message(scope)})");
            return;
        }

        Body(scope.Inner(), random.Between(1, isLoop ? 3 : 2), depth, isLoop);
    });
}
