using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Lab.Testing;

/// <summary>Asks the machine's Python whether programs are valid.</summary>
public static class PythonInterpreter
{
    private const string Script = """
        import json, sys, warnings
        warnings.simplefilter("ignore")
        for i, program in enumerate(json.load(sys.stdin)):
            try:
                compile(program, "program", "exec")
            except SyntaxError as e:
                print(f"program {i}, line {e.lineno}: {e.msg}")
                print(program)
        """;

    /// <summary>Compiles programs, all in one process.</summary>
    /// <returns>What is wrong with them; empty if nothing is; null if there is no Python 3 on this machine.</returns>
    public static Task<string?> CompileAsync(IEnumerable<string> programs, CancellationToken ct) => RunAsync(Script, JsonSerializer.Serialize(programs.ToArray()), ct);

    /// <summary>Runs a script of Python's standard library alone.</summary>
    /// <param name="script">The script.</param>
    /// <param name="input">What it reads from its standard input.</param>
    /// <param name="ct">Stops waiting for it.</param>
    /// <returns>What it writes, errors last; null if there is no Python 3 on this machine.</returns>
    public static async Task<string?> RunAsync(string script, string input, CancellationToken ct)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo("python3", ["-I", "-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true },
        };
        try
        {
            process.Start();
        }
        catch (Win32Exception)
        {
            return null;
        }

        Task<string> output = process.StandardOutput.ReadToEndAsync(ct), errors = process.StandardError.ReadToEndAsync(ct);
        await process.StandardInput.WriteAsync(input.AsMemory(), ct);
        process.StandardInput.Close();
        await process.WaitForExitAsync(ct);
        return await output + await errors;
    }

    /// <summary>Whether tests that need Python may be skipped without it: not on a build server, which must have it.</summary>
    public static bool MayBeMissing => string.IsNullOrEmpty(Environment.GetEnvironmentVariable("CI"));
}
