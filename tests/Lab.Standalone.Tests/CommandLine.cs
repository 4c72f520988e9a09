using Lab.Standalone.Commands;

namespace Lab.Standalone.Tests;

/// <summary>Runs `lab` inside the test with a folder of its own.</summary>
internal sealed class CommandLine : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lab-command-");

    public string Data => Path.Combine(_folder.FullName, "data");

    public StringWriter Output { get; } = new();

    public StringWriter Error { get; } = new();

    public string[] Lines => Output.ToString().TrimEnd('\n').Split('\n');

    public Task<int> InvokeAsync(CancellationToken cancellationToken, params string[] args) =>
        LabCommand.InvokeAsync(args, new LabConsole(Output, Error, isTerminal: false), cancellationToken);

    public void Dispose() => _folder.Delete(recursive: true);
}
