using System.Diagnostics;
using System.Globalization;

namespace Lab.Benchmarks.Hosting;

/// <summary>A Python client that runs and captures each time it is told to, and says how long it took. Start-up is not counted.</summary>
internal sealed class PythonCapture : IAsyncDisposable
{
    // Debian's packages belong to this one.
    private const string Python = "/usr/bin/python3";

    private readonly Process _process;
    private readonly string _stubs;

    private PythonCapture(Process process, string stubs) => (_process, _stubs) = (process, stubs);

    /// <summary>Starts the client; null if this machine has not what it needs.</summary>
    public static async Task<PythonCapture?> StartAsync(Uri address, int[][] rows, string capture, CancellationToken ct)
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Lab.sln"))) root = Path.GetDirectoryName(root) ?? throw new DirectoryNotFoundException("Lab.sln is not above this program.");
        string protos = Path.Combine(root, "protos"), stubs = Directory.CreateTempSubdirectory("lab-stubs-").FullName;
        IEnumerable<string> files = new[] { "tensor", "model_host" }.SelectMany(part => Directory.EnumerateFiles(Path.Combine(protos, "lab", part, "v1"), "*.proto"));
        if (!await SucceedsAsync("protoc", ["-I", protos, $"--python_out={stubs}", $"--grpc_python_out={stubs}", "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", .. files], ct)
            || !await SucceedsAsync(Python, ["-c", "import grpc, numpy"], ct))
        {
            Directory.Delete(stubs, recursive: true);
            return null;
        }

        ProcessStartInfo start = new(Python) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["PYTHONPATH"] = $"{stubs}:{Path.Combine(root, "tests", "clients", "python")}";
        string tokens = string.Join(";", rows.Select(row => string.Join(",", row)));
        foreach (string argument in (string[])[Path.Combine(root, "tests", "Lab.Benchmarks", "Hosting", "capture.py"), address.Authority, capture, tokens]) start.ArgumentList.Add(argument);
        return new PythonCapture(Process.Start(start)!, stubs);
    }

    /// <summary>One run.</summary>
    /// <returns>Milliseconds.</returns>
    public async Task<double> RunAsync(CancellationToken ct)
    {
        await _process.StandardInput.WriteLineAsync("run".AsMemory(), ct);
        await _process.StandardInput.FlushAsync(ct);
        string line = await _process.StandardOutput.ReadLineAsync(ct) ?? throw new InvalidOperationException("The Python client ended.");
        return double.Parse(line, CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_stubs, recursive: true);
    }

    private static async Task<bool> SucceedsAsync(string program, IEnumerable<string> arguments, CancellationToken ct)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            _ = await process.StandardError.ReadToEndAsync(ct);
            await process.WaitForExitAsync(ct);
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
