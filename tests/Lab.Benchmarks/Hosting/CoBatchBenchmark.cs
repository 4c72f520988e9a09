using System.Diagnostics;
using Grpc.Core;
using Lab.Protos.ModelHost.V1;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// Throughput of 16 clients at once against one, on a model of GPT-2 small's shape: short runs (the last token's logits and one
/// capture each), and generation, each client with an intervention of its own.
/// </summary>
internal sealed class CoBatchBenchmark : IBenchmark
{
    private const int Clients = 16;
    private const int Length = 8;
    private const int NewTokens = 24;
    private const int Repetitions = 5;

    public string Name => "cobatch";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        await using HostUnderTest host = await HostUnderTest.StartAsync(BenchmarkModels.WriteGpt2Small, ct);
        await CompareAsync("runs", "runs/s", 1, (client, token) => host.RunAsync(Run(client), token));
        await CompareAsync("tokens", "tokens/s", NewTokens, (client, token) => GenerateAsync(host, client, token));

        async Task CompareAsync(string what, string unit, int units, Func<int, CancellationToken, Task> request)
        {
            List<double> one = [], many = [];
            for (int i = -1; i < Repetitions; i++)
            {
                double single = await RateAsync(1, Clients / 2, units, request, ct), together = await RateAsync(Clients, 2, units, request, ct);
                if (i < 0) continue;
                one.Add(single);
                many.Add(together);
            }

            double alone = report.Median($"{Name}.{what}_1", one, $"{unit}, one client");
            report.Ratio($"{Name}.{what}_{Clients}_to_1", report.Median($"{Name}.{what}_{Clients}", many, $"{unit}, {Clients} clients"), alone);
        }
    }

    private static async Task<double> RateAsync(int clients, int repeats, int units, Func<int, CancellationToken, Task> request, CancellationToken ct)
    {
        Stopwatch watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
        {
            for (int i = 0; i < repeats; i++) await request(client, ct);
        }));
        return clients * repeats * units / watch.Elapsed.TotalSeconds;
    }

    private static RunRequest Run(int client)
    {
        RunRequest request = HostUnderTest.Request([BenchmarkModels.Tokens(Length, client, BenchmarkModels.Gpt2Small.DVocab)], "blocks.6.hook_resid_post");
        request.Logits = LogitsMode.Last;
        request.Interventions.Add(Scaled(client));
        return request;
    }

    private static async Task GenerateAsync(HostUnderTest host, int client, CancellationToken ct)
    {
        RunRequest run = Run(client);
        GenerateRequest request = new() { Model = run.Model, Prompt = run.Input, MaxNewTokens = NewTokens, Interventions = { Scaled(client) } };
        using AsyncServerStreamingCall<GenerateResponse> call = host.Models.Generate(request, cancellationToken: ct);
        while (await call.ResponseStream.MoveNext(ct))
        {
        }
    }

    private static Intervention Scaled(int client) =>
        new() { Selector = new Selector { Hook = $"blocks.{client % 12}.hook_mlp_out" }, Scale = new ScaleOperation { Factor = 1 + (client / 100f) } };
}
