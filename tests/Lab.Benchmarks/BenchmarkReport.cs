using System.Globalization;

namespace Lab.Benchmarks;

/// <summary>Prints numbers, one a line: name, value, unit.</summary>
internal sealed class BenchmarkReport(TextWriter writer)
{
    /// <summary>Prints a line of explanation.</summary>
    public void Note(string text) => writer.WriteLine($"# {text}");

    /// <summary>Prints the median of some repetitions, with their range.</summary>
    /// <returns>The median.</returns>
    public double Median(string name, IEnumerable<double> values, string unit)
    {
        double[] sorted = [.. values.Order()];
        double median = sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
        Write(name, median, $"{unit} (median of {sorted.Length}, {Format(sorted[0])} to {Format(sorted[^1])})");
        return median;
    }

    /// <summary>Prints a ratio of two numbers that were printed before.</summary>
    public void Ratio(string name, double value, double reference) => Write(name, value / reference, $"= {Format(value)} / {Format(reference)}");

    private void Write(string name, double value, string rest) => writer.WriteLine($"{name,-44} {Format(value),10} {rest}");

    private static string Format(double value) => value.ToString(Math.Abs(value) >= 100 ? "F0" : "G4", CultureInfo.InvariantCulture);
}
