using System.CommandLine;
using System.CommandLine.Invocation;

namespace Lab.Standalone.Commands;

/// <summary>The command line of `lab`.</summary>
internal static class LabCommand
{
    // Enough for a run to be cancelled in all parts and for five servers to stop.
    private static readonly TimeSpan _terminationTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Runs a command line. Ctrl-C cancels it.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> InvokeAsync(string[] args, LabConsole console, CancellationToken cancellationToken = default)
    {
        ParseResult parsed = Create(console).Parse(args);
        // The help of a command would bury the error; without any command it is what one needs.
        if (parsed.Action is ParseErrorAction error) error.ShowHelp = args.Length == 0;
        int code = await parsed.InvokeAsync(
            new InvocationConfiguration
            {
                Output = console.Output,
                Error = console.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = _terminationTimeout,
            },
            cancellationToken);
        return parsed.Action is ParseErrorAction ? ExitCode.Usage : code;
    }

    private static RootCommand Create(LabConsole console) => new("A laboratory for the inside of language models.")
    {
        RunCommand.Create(console),
        ServeCommand.Create(console),
        ExperimentsCommand.Create(console),
        ModelsCommand.Create(console),
        RunsCommand.Create(console),
        CancelCommand.Create(console),
        ArtifactsCommand.Create(console),
        ReportCommand.Create(console),
    };
}
