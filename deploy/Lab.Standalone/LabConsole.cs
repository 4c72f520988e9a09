using Spectre.Console;

namespace Lab.Standalone;

/// <summary>Where a command writes.</summary>
internal sealed class LabConsole
{
    // Wide enough for every table: a file or a pipe has no width.
    private const int WidthWithoutTerminal = 160;

    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="isTerminal">Whether people watch standard output live.</param>
    public LabConsole(TextWriter output, TextWriter error, bool isTerminal)
    {
        Output = output;
        Error = error;
        IsTerminal = isTerminal;
        Screen = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
            Out = new AnsiConsoleOutput(output),
        });
        if (!isTerminal) Screen.Profile.Width = WidthWithoutTerminal;
    }

    /// <summary>For text that programs read: never wrapped, never coloured.</summary>
    public TextWriter Output { get; }

    public TextWriter Error { get; }

    public bool IsTerminal { get; }

    /// <summary>For text that people read, on standard output.</summary>
    public IAnsiConsole Screen { get; }

    public static LabConsole Standard() => new(Console.Out, Console.Error, !Console.IsOutputRedirected);
}
