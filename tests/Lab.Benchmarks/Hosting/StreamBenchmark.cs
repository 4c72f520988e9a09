using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;

namespace Lab.Benchmarks.Hosting;

/// <summary>
/// Bytes a second of ModelHost's activation stream, from the request to the last frame, to a client that checks and assembles every
/// frame; against a bare gRPC stream of prepared buffers of equal size through the same Kestrel and the same client settings. The
/// model has wide activations and hardly any arithmetic, and each is sent several times. Alternating, over loopback.
/// </summary>
internal sealed class StreamBenchmark : IBenchmark
{
    private const int Rows = 1;
    private const int Length = 256;
    private const int Repeats = 4;
    private const int Repetitions = 9;

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
        _ = await BareAsync(host, bytes, ct);
        List<double> model = [], received = [], bare = [], forward = [];
        for (int i = 0; i < Repetitions; i++)
        {
            model.Add(bytes / (await host.RunAsync(request, ct)).Milliseconds / 1e3);
            received.Add(bytes / (await host.RunAsync(request, ct, assembles: false)).Milliseconds / 1e3);
            bare.Add(bytes / await BareAsync(host, bytes, ct) / 1e3);
            forward.Add((await host.RunAsync(silent, ct)).Milliseconds);
        }

        report.Note($"stream: {bytes / 1e6:F0} MB per answer, {Sites.Length} sites {Repeats} times, {Rows} x {Length} tokens, d_model {BenchmarkModels.Wide.DModel}.");
        double stream = report.Median($"{Name}.model_host", model, "MB/s from the request on, forward pass included");
        double frames = report.Median($"{Name}.model_host_frames", received, "MB/s to a client that takes the frames as the bare one does its buffers");
        double reference = report.Median($"{Name}.bare", bare, "MB/s of prepared buffers");
        _ = report.Median($"{Name}.forward", forward, "ms of the same run without captures");
        report.Ratio($"{Name}.model_host_to_bare", stream, reference);
        report.Ratio($"{Name}.model_host_frames_to_bare", frames, reference);
    }

    private static async Task<double> BareAsync(HostUnderTest host, long bytes, CancellationToken ct)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using AsyncServerStreamingCall<ReadArtifactFileResponse> call =
            host.Buffers.ReadArtifactFile(new ReadArtifactFileRequest { Path = bytes.ToString(CultureInfo.InvariantCulture) }, cancellationToken: ct);
        long received = 0;
        await foreach (ReadArtifactFileResponse response in call.ResponseStream.ReadAllAsync(ct)) received += response.Data.Length;
        return received == bytes ? watch.Elapsed.TotalMilliseconds : throw new InvalidDataException($"{received} of {bytes} bytes came.");
    }
}
