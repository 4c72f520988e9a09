using Lab.Standalone.Commands;
using Lab.Testing;

namespace Lab.Standalone.Tests;

/// <summary>Runs `lab` inside the test with a folder of its own.</summary>
internal sealed class CommandLine : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public string Data => _folder["data"];

    public StringWriter Output { get; } = new();

    public StringWriter Error { get; } = new();

    public string[] Lines => Output.ToString().TrimEnd('\n').Split('\n');

    public Task<int> InvokeAsync(CancellationToken cancellationToken, params string[] args) =>
        LabCommand.InvokeAsync(args, new LabConsole(Output, Error, isTerminal: false), cancellationToken);

    public void Dispose() => _folder.Dispose();
}
