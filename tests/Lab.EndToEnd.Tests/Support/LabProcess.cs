using System.Collections.Concurrent;
using System.Diagnostics;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>A program of the lab as a process of its own. What it prints is kept; it is killed when disposed of.</summary>
internal sealed class LabProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _commandLine;
    private readonly ConcurrentQueue<string> _transcript = new();
    private readonly Lock _gate = new();
    private readonly List<string> _output = [];
    private readonly List<(Predicate<string> IsIt, TaskCompletionSource<string> Found)> _waiting = [];

    private LabProcess(Process process)
    {
        _process = process;
        _commandLine = $"{Path.GetFileName(process.StartInfo.FileName)} {string.Join(' ', process.StartInfo.ArgumentList)}";
        process.OutputDataReceived += (_, e) => TakeOutput(e.Data);
        process.ErrorDataReceived += (_, e) => Note("! ", e.Data);
    }

    /// <summary>Complete lines of standard output so far.</summary>
    public IReadOnlyList<string> Output
    {
        get
        {
            lock (_gate) return [.. _output];
        }
    }

    /// <summary>All that it printed, standard error with a mark, for failures.</summary>
    public string Transcript => $"--- {_commandLine}\n{string.Join('\n', _transcript)}\n";

    /// <summary>Starts a program that was built beside the tests, or one of the system by its absolute path.</summary>
    public static LabProcess Start(string program, IEnumerable<string> arguments, params IEnumerable<(string Name, string Value)> environment)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, program), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        // What this shell has set for a lab of its own is not meant for these.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("Lab__", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        foreach ((string name, string value) in environment) start.Environment[name] = value;

        LabProcess process = new(new Process { StartInfo = start });
        process._process.Start();
        process._process.BeginOutputReadLine();
        process._process.BeginErrorReadLine();
        return process;
    }

    /// <summary>The first line of standard output, past or to come, that is the one.</summary>
    public async Task<string> WaitForLineAsync(Predicate<string> isIt, string what, CancellationToken cancellationToken)
    {
        TaskCompletionSource<string> found = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_output.Find(isIt) is string line) return line;
            _waiting.Add((isIt, found));
        }

        Task exited = _process.WaitForExitAsync(cancellationToken);
        await Task.WhenAny(found.Task, exited, Task.Delay(TestTimes.Patience, cancellationToken));
        return found.Task.IsCompletedSuccessfully
            ? await found.Task
            : throw new InvalidOperationException($"There was no {what} {(exited.IsCompleted ? "before the end" : "in time")}.\n{Transcript}");
    }

    /// <summary>Waits for the end, and for all that it printed.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TestTimes.Patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The process has not ended in time.\n{Transcript}", e);
        }

        return _process.ExitCode;
    }

    /// <summary>What Ctrl-C in a terminal does.</summary>
    public async Task InterruptAsync(CancellationToken cancellationToken)
    {
        // The shell's own kill: not every machine has the program.
        using Process kill = Process.Start("/bin/sh", ["-c", $"kill -INT {_process.Id}"]);
        await kill.WaitForExitAsync(cancellationToken);
        Note("# ", "interrupted by the test");
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited) Note("# ", "killed by the test");
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    private void TakeOutput(string? line)
    {
        if (line is null) return;
        Note("  ", line);
        lock (_gate)
        {
            _output.Add(line);
            foreach ((_, TaskCompletionSource<string> found) in _waiting.Where(waiting => waiting.IsIt(line))) _ = found.TrySetResult(line);
        }
    }

    private void Note(string mark, string? line)
    {
        if (line is not null) _transcript.Enqueue(mark + line);
    }
}
