namespace Lab.SparseTraining.Tests.Corpora.Generated;

/// <summary>The parts of Python's grammar that can be checked line by line: strings, brackets, and the indentation of blocks.</summary>
internal static class PythonLayout
{
    public static void Check(string program, string name)
    {
        program.ShouldEndWith("\n");
        int expected = 0, brackets = 0;
        bool mayBeDeeper = false;
        var open = new Stack<char>();
        string[] lines = program.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i], at = $"{name}, line {i + 1}: {line}";
            line.ShouldBe(line.TrimEnd(), at);
            if (line.Length == 0) continue;
            int indent = line.Length - line.TrimStart(' ').Length;
            (indent % 4).ShouldBe(0, at);
            if (brackets == 0)
            {
                if (mayBeDeeper) indent.ShouldBe(expected + 4, at);
                else indent.ShouldBeLessThanOrEqualTo(expected, at);
                expected = indent;
            }

            string code = WithoutStrings(line.Trim(), at);
            foreach (char c in code)
            {
                if (c is '(' or '[' or '{') open.Push(c is '(' ? ')' : c is '[' ? ']' : '}');
                else if (c is ')' or ']' or '}') (open.Count > 0 && open.Pop() == c).ShouldBeTrue(at);
            }

            brackets = open.Count;
            mayBeDeeper = brackets == 0 && code.EndsWith(':');
        }

        (mayBeDeeper || brackets > 0).ShouldBeFalse(name);
    }

    /// <summary>The line without comments and the content of strings, each of which must end on the line.</summary>
    private static string WithoutStrings(string line, string at)
    {
        if (line.StartsWith("\"\"\"", StringComparison.Ordinal))
        {
            line.ShouldEndWith("\"\"\"", Case.Sensitive, at);
            return "";
        }

        var code = new System.Text.StringBuilder();
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '#') break;
            if (line[i] is not ('"' or '\''))
            {
                code.Append(line[i]);
                continue;
            }

            int end = line.IndexOf(line[i], i + 1);
            end.ShouldBeGreaterThan(i, at);
            i = end;
        }

        return code.ToString();
    }
}
