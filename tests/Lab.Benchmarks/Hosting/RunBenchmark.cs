using System.Diagnostics;
using Lab.Models;
using Lab.Models.Folders;
using Lab.Protos.ModelHost.V1;
using static TorchSharp.torch;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// A model of GPT-2 small's shape: Run without captures, and with every resid_post end to end to a C# client and to a Python client,
/// against the bare forward pass of the same weights in this process. None computes logits. Alternating.
/// </summary>
internal sealed class RunBenchmark : IBenchmark
{
    private const int Rows = 8;
    private const int Length = 128;
    private const int Repetitions = 7;
    private const string Captures = "blocks.*.hook_resid_post";

    public string Name => "run";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        await using HostUnderTest host = await HostUnderTest.StartAsync(BenchmarkModels.WriteGpt2Small, ct);
        using Transformer model = ModelFolder.Load(host.Folder);
        int[][] rows = [.. Enumerable.Range(0, Rows).Select(row => BenchmarkModels.Tokens(Length, row, model.Config.DVocab))];
        RunRequest plain = HostUnderTest.Request(rows), capture = HostUnderTest.Request(rows, Captures);
        await using PythonCapture? python = await PythonCapture.StartAsync(host.Address, rows, Captures, ct);
        if (python is null) report.Note($"{Name}: no Python client, which needs Debian's python3-grpcio, python3-protobuf, python3-numpy and protobuf-compiler-grpc.");
        List<double> bare = [], run = [], captured = [], pythonic = [];
        long bytes = 0;
        for (int i = -1; i < Repetitions; i++)
        {
            double[] times = [Bare(model, rows), (await host.RunAsync(plain, ct)).Milliseconds, 0, python is null ? 0 : await python.RunAsync(ct)];
            (times[2], bytes) = await host.RunAsync(capture, ct);
            if (i < 0) continue;
            foreach ((List<double> list, double time) in new[] { bare, run, captured, pythonic }.Zip(times)) list.Add(time);
        }

        report.Note($"{Name}: {Rows} x {Length} tokens; {bytes / 1e6:F0} MB of {Captures}.");
        double reference = report.Median($"{Name}.bare", bare, "ms of the bare forward pass");
        report.Ratio($"{Name}.no_capture_to_bare", report.Median($"{Name}.no_capture", run, "ms of Run without captures"), reference);
        report.Ratio($"{Name}.capture_csharp_to_bare", report.Median($"{Name}.capture_csharp", captured, "ms to a C# client"), reference);
        if (python is not null) report.Ratio($"{Name}.capture_python_to_bare", report.Median($"{Name}.capture_python", pythonic, "ms to a Python client"), reference);
    }

    private static double Bare(Transformer model, int[][] rows)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Stopwatch watch = Stopwatch.StartNew();
        long[] ids = [.. rows.SelectMany(row => row).Select(id => (long)id)];
        model.Forward(new ForwardInput(tensor(ids, rows.Length, rows[0].Length)) { Logits = LogitSelection.None });
        return watch.Elapsed.TotalMilliseconds;
    }
}
