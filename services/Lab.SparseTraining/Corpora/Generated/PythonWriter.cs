using System.Text;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>Lines of a program at their indentation.</summary>
internal sealed class PythonWriter
{
    private const int IndentWidth = 4;

    /// <summary>PEP 8's longest line.</summary>
    private const int MaxColumns = 79;

    private readonly StringBuilder _text = new();
    private int _indent;

    /// <summary>Whether a line fits at the current indentation.</summary>
    public bool Fits(string line) => _indent * IndentWidth + line.Length <= MaxColumns;

    /// <summary>Writes a line.</summary>
    public void Line(string line) => _text.Append(' ', _indent * IndentWidth).Append(line).Append('\n');

    /// <summary>Leaves lines empty.</summary>
    public void Blank(int lines = 1) => _text.Append('\n', lines);

    /// <summary>Writes a line that ends in a colon, and what belongs to it.</summary>
    public void Block(string line, Action body)
    {
        Line(line);
        Indent(body);
    }

    /// <summary>Writes what belongs to the line before.</summary>
    public void Indent(Action body)
    {
        _indent++;
        body();
        _indent--;
    }

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();
}
