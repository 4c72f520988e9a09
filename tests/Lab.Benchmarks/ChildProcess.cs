using System.Diagnostics;
using System.Globalization;

namespace Lab.Benchmarks;

/// <summary>This program again, for what only a fresh process can measure.</summary>
internal static class ChildProcess
{
    /// <summary>Runs it.</summary>
    /// <param name="arguments">What makes it the child, and what it needs.</param>
    /// <param name="ct">Stops waiting.</param>
    /// <returns>The numbers that it printed, apart by blanks.</returns>
    public static async Task<double[]> RunAsync(IEnumerable<string> arguments, CancellationToken ct)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet") start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process child = Process.Start(start)!;
        string output = await child.StandardOutput.ReadToEndAsync(ct);
        await child.WaitForExitAsync(ct);
        return child.ExitCode == 0
            ? [.. output.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture))]
            : throw new InvalidOperationException($"The child ended with {child.ExitCode}.");
    }

    /// <summary>A line of /proc/self/status, in MB (10^6).</summary>
    public static double StatusOf(string field)
    {
        string line = File.ReadLines("/proc/self/status").Single(line => line.StartsWith($"{field}:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024 / 1e6;
    }
}
