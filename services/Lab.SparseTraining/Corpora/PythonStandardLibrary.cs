using System.ComponentModel;
using System.Diagnostics;

namespace Lab.SparseTraining.Corpora;

/// <summary>Finds the Python standard library of this machine: Python is asked, then the usual folders are tried.</summary>
/// <param name="interpreters">Programs to ask, in order.</param>
/// <param name="parents">Folders in which to look for one called "python3.x", in order.</param>
internal sealed class PythonStandardLibrary(IReadOnlyList<string> interpreters, IReadOnlyList<string> parents)
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <summary>Where it is on most machines.</summary>
    public static PythonStandardLibrary OfMachine { get; } = new(["python3", "python"], ["/usr/local/lib", "/usr/lib", "/opt/homebrew/lib"]);

    /// <summary>
    /// Folders of the library that are left out: packages that are not part of it, test suites, and modules that are tables rather than
    /// code (character maps and the help's topics), which would fill a small vocabulary.
    /// </summary>
    public static IReadOnlySet<string> ExcludedFolders { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        "site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "encodings", "pydoc_data",
    };

    /// <summary>The library's folder, or null if there is none.</summary>
    public async Task<string?> FindAsync(CancellationToken ct)
    {
        foreach (string interpreter in interpreters)
        {
            if (await AskAsync(interpreter, ct) is { } folder && IsLibrary(folder)) return folder;
        }

        return parents.Where(Directory.Exists)
            .SelectMany(parent => Directory.EnumerateDirectories(parent, "python3*").OrderByDescending(Version).ThenBy(folder => folder, StringComparer.Ordinal))
            .FirstOrDefault(IsLibrary);
    }

    private static bool IsLibrary(string folder) => File.Exists(Path.Combine(folder, "os.py"));

    private static Version Version(string folder) =>
        System.Version.TryParse(Path.GetFileName(folder)["python".Length..], out Version? version) ? version : new Version(0, 0);

    private static async Task<string?> AskAsync(string interpreter, CancellationToken ct)
    {
        var start = new ProcessStartInfo(interpreter, ["-I", "-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = new Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception)
        {
            return null; // no such program
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(_patience);
        try
        {
            process.StandardInput.Close();
            Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
            string answer = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await errors;
            await process.WaitForExitAsync(limit.Token);
            return process.ExitCode == 0 ? answer.Trim() : null;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return null; // too slow to be of use
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }
}
