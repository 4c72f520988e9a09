using System.Diagnostics;
using System.Globalization;
using Lab.Models;
using Lab.Models.Folders;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// The most memory that a fresh process takes to load a model of GPT-2 small's shape and read every weight once in a forward pass,
/// less what it had before, against the bytes of the weights.
/// </summary>
internal sealed class LoadBenchmark : IBenchmark
{
    /// <summary>What makes this program the child that loads.</summary>
    public const string ChildArgument = "load-child";

    private const int Repetitions = 3;

    public string Name => "load";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        string folder = Directory.CreateTempSubdirectory("lab-benchmark-").FullName;
        try
        {
            BenchmarkModels.WriteGpt2Small(folder);
            double weights = new FileInfo(Path.Combine(folder, "model.safetensors")).Length / 1e6;
            List<double> peaks = [], times = [];
            for (int i = 0; i < Repetitions; i++)
            {
                double[] numbers = await ChildProcess.RunAsync([ChildArgument, folder], ct);
                peaks.Add(numbers[0]);
                times.Add(numbers[1]);
            }

            report.Note($"{Name}: {weights:F0} MB of weights in FP32, in the page cache.");
            report.Ratio($"{Name}.peak_to_weights", report.Median($"{Name}.peak", peaks, "MB at most while loading and running, above the start"), weights);
            _ = report.Median($"{Name}.time", times, "ms to load");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The child: loads, runs, and prints its numbers.</summary>
    public static void RunChild(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // What libtorch takes once, whatever it loads.
        _ = nn.functional.linear(ones(64, 64), ones(64, 64));
        GC.Collect();
        double before = ChildProcess.StatusOf("VmRSS");
        Stopwatch watch = Stopwatch.StartNew();
        using Transformer model = ModelFolder.Load(folder);
        double milliseconds = watch.Elapsed.TotalMilliseconds;
        _ = model.Forward(new ForwardInput(arange(8, dtype: ScalarType.Int64).unsqueeze(0)) { Logits = new LogitSelection([7L]) });
        foreach (NamedParameter parameter in model.Weights.All) _ = parameter.Value.sum();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ChildProcess.StatusOf("VmHWM") - before} {milliseconds}"));
    }
}
