using Lab.Benchmarks;
using Lab.Benchmarks.Hosting;
using Lab.Benchmarks.Kernels;
using Lab.Benchmarks.Sparse;
using Lab.Benchmarks.Statistics;
using Lab.Benchmarks.Training;

// Usage: dotnet run -c Release --project tests/Lab.Benchmarks [-- run|stream|cobatch|load|train|statistics|kernels|attention|sparse|all]
if (args is [LoadBenchmark.ChildArgument, var folder])
{
    LoadBenchmark.RunChild(folder);
    return 0;
}

if (args is [TrainBenchmark.ChildArgument, var corpus])
{
    TrainBenchmark.RunChild(corpus);
    return 0;
}

IBenchmark[] benchmarks =
    [new RunBenchmark(), new StreamBenchmark(), new CoBatchBenchmark(), new LoadBenchmark(), new TrainBenchmark(), new StatisticsBenchmark(), new KernelBenchmark(), new AttentionBenchmark(),
        new SparseBenchmark()];

string wanted = args is [var name, ..] ? name : "all";
IBenchmark[] selected = [.. benchmarks.Where(benchmark => wanted == "all" || wanted == benchmark.Name)];
if (selected.Length == 0)
{
    Console.Error.WriteLine($"There is no benchmark '{wanted}': {string.Join(", ", benchmarks.Select(benchmark => benchmark.Name))} or all.");
    return 2;
}

using CancellationTokenSource stop = new();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
foreach (IBenchmark benchmark in selected) await benchmark.RunAsync(new BenchmarkReport(Console.Out), stop.Token);
return 0;
