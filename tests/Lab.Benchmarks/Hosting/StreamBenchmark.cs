using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// Bytes a second of ModelHost's activation stream, from the request to the last frame, to a client that checks and assembles every
/// frame; against bare gRPC streams of prepared buffers through the same Kestrel and the same client settings: of the frames' size, and of half
/// a MiB. The model has wide activations and hardly any arithmetic, and each is sent several times. Alternating, over loopback.
/// </summary>
internal sealed class StreamBenchmark : IBenchmark
{
    private const int Rows = 1;
    private const int Length = 256;
    private const int Repeats = 4;
    private const int Repetitions = 9;
    private const int LargeChunkBytes = 512 << 10;

    private static readonly string[] Sites =
    [
        "hook_embed", "blocks.0.hook_resid_pre", "blocks.0.ln1.hook_normalized", "blocks.0.attn.hook_read", "blocks.0.hook_attn_out", "blocks.0.hook_resid_mid", "blocks.0.hook_mlp_in",
        "blocks.0.ln2.hook_normalized", "blocks.0.mlp.hook_read", "blocks.0.hook_mlp_out", "blocks.0.hook_resid_post", "ln_final.hook_normalized", "unembed.hook_in",
    ];

    public string Name => "stream";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        await using HostUnderTest host = await HostUnderTest.StartAsync(BenchmarkModels.WriteWide, ct);
        RunRequest request = HostUnderTest.Request(Enumerable.Range(0, Rows).Select(row => BenchmarkModels.Tokens(Length, row, BenchmarkModels.Wide.DVocab)), Enumerable.Repeat(Sites, Repeats).SelectMany(sites => sites));
        RunRequest silent = new(request) { Captures = { } };
        silent.Captures.Clear();
        long bytes = (await host.RunAsync(request, ct)).Bytes;
        _ = await BareAsync(host, bytes, TensorFrames.DefaultChunkBytes, ct);
        List<double> model = [], received = [], bare = [], large = [], forward = [];
        for (int i = 0; i < Repetitions; i++)
        {
            model.Add(await RateAsync(() => host.RunAsync(request, ct)));
            received.Add(await RateAsync(() => host.RunAsync(request, ct, assembles: false)));
            bare.Add(await RateAsync(() => BareAsync(host, bytes, TensorFrames.DefaultChunkBytes, ct)));
            large.Add(await RateAsync(() => BareAsync(host, bytes, LargeChunkBytes, ct)));
            forward.Add((await host.RunAsync(silent, ct)).Milliseconds);
        }

        report.Note($"stream: {bytes / 1e6:F0} MB per answer, {Sites.Length} sites {Repeats} times, {Rows} x {Length} tokens, d_model {BenchmarkModels.Wide.DModel}.");
        double stream = report.Median($"{Name}.model_host", model, "MB/s from the request on, forward pass included");
        double frames = report.Median($"{Name}.model_host_frames", received, "MB/s to a client that takes the frames as the bare one does its buffers");
        double reference = report.Median($"{Name}.bare", bare, "MB/s of prepared buffers of the frames' size");
        double largeReference = report.Median($"{Name}.bare_large", large, "MB/s of prepared buffers of 512 KiB");
        _ = report.Median($"{Name}.forward", forward, "ms of the same run without captures");
        report.Ratio($"{Name}.model_host_to_bare", stream, reference);
        report.Ratio($"{Name}.model_host_frames_to_bare", frames, reference);
        report.Ratio($"{Name}.model_host_to_bare_large", stream, largeReference);
    }

    /// <summary>MB a second. Nobody pays for what another has left to the collector.</summary>
    private static async Task<double> RateAsync(Func<Task<(double Milliseconds, long Bytes)>> answer)
    {
        GC.Collect();
        (double milliseconds, long bytes) = await answer();
        return bytes / milliseconds / 1e3;
    }

    private static async Task<(double Milliseconds, long Bytes)> BareAsync(HostUnderTest host, long bytes, int chunkBytes, CancellationToken ct)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using AsyncServerStreamingCall<ReadArtifactFileResponse> call =
            host.Buffers.ReadArtifactFile(new ReadArtifactFileRequest { Path = string.Create(CultureInfo.InvariantCulture, $"{bytes}/{chunkBytes}") }, cancellationToken: ct);
        long received = 0;
        await foreach (ReadArtifactFileResponse response in call.ResponseStream.ReadAllAsync(ct)) received += response.Data.Length;
        return received == bytes ? (watch.Elapsed.TotalMilliseconds, bytes) : throw new InvalidDataException($"{received} of {bytes} bytes came.");
    }
}
