using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Lab.ModelHost;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Clients;
using Lab.Tensors;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.Benchmarks.Streaming;

/// <summary>
/// Bytes a second of ModelHost's activation stream, to a client that checks and assembles every frame, against a bare gRPC stream of
/// prepared buffers of equal size through the same Kestrel and the same client settings. Alternating, over loopback.
/// </summary>
internal sealed class StreamBenchmark : IBenchmark
{
    private const int Rows = 16;
    private const int Repetitions = 9;
    private const string Captures = "blocks.*.hook_resid_post";

    public string Name => "stream";

    public async Task RunAsync(BenchmarkReport report, CancellationToken ct)
    {
        string data = Directory.CreateTempSubdirectory("lab-benchmark-").FullName;
        try
        {
            await StreamModel.StoreAsync(data, ct);
            await using WebApplication app = BuildServer(data);
            await app.StartAsync(ct);
            await using WebApplication clients = BuildClients(app.Urls.Single());
            await MeasureAsync(
                clients.Services.GetRequiredService<ModelHostService.ModelHostServiceClient>(),
                clients.Services.GetRequiredService<ArtifactService.ArtifactServiceClient>(),
                report,
                ct);
            await app.StopAsync(ct);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    private async Task MeasureAsync(
        ModelHostService.ModelHostServiceClient models, ArtifactService.ArtifactServiceClient buffers, BenchmarkReport report, CancellationToken ct)
    {
        _ = await models.LoadModelAsync(new LoadModelRequest { Name = StreamModel.Name }, cancellationToken: ct);
        long bytes = (await RunModelAsync(models, ct)).Bytes;
        _ = await RunBareAsync(buffers, bytes, ct);
        List<StreamRun> model = [], bare = [];
        for (int i = 0; i < Repetitions; i++)
        {
            model.Add(await RunModelAsync(models, ct));
            bare.Add(await RunBareAsync(buffers, bytes, ct));
        }

        report.Note($"stream: {bytes / 1e6:F0} MB per answer: {Captures} of {StreamModel.Config.NLayers} layers, {Rows} x {StreamModel.Config.NCtx} tokens, d_model {StreamModel.Config.DModel}.");
        double stream = report.Median($"{Name}.model_host", model.Select(run => run.StreamingMegabytesPerSecond), "MB/s from the end of the forward pass on");
        double whole = report.Median($"{Name}.model_host_with_forward", model.Select(run => run.MegabytesPerSecond), "MB/s from the request on");
        double reference = report.Median($"{Name}.bare", bare.Select(run => run.MegabytesPerSecond), "MB/s of prepared buffers");
        report.Ratio($"{Name}.model_host_to_bare", stream, reference);
        report.Ratio($"{Name}.model_host_with_forward_to_bare", whole, reference);
        _ = report.Median($"{Name}.forward", model.Select(run => run.ComputeMs), "ms of the forward pass");
        _ = report.Median($"{Name}.transfer", model.Select(run => run.TotalMs - run.ComputeMs), "ms of everything else");
    }

    private static async Task<StreamRun> RunModelAsync(ModelHostService.ModelHostServiceClient client, CancellationToken ct)
    {
        TokenRows rows = new();
        for (int row = 0; row < Rows; row++)
            rows.Rows.Add(new TokenRow { Ids = { Enumerable.Range(0, StreamModel.Config.NCtx).Select(i => ((i * 31) + row) % StreamModel.Config.DVocab) } });
        RunRequest request = new() { Model = StreamModel.Name, Input = new Input { Tokens = rows }, Captures = { new Selector { Hook = Captures } } };

        Stopwatch watch = Stopwatch.StartNew();
        using AsyncServerStreamingCall<RunResponse> call = client.Run(request, cancellationToken: ct);
        (long bytes, double wait, RunSummary? summary) = (0, 0, null);
        TensorFrameReader reader = new();
        await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(ct))
        {
            if (response.Started is not null) wait = watch.Elapsed.TotalMilliseconds;
            else if (response.Summary is not null) summary = response.Summary;
            else if (reader.Accept(response.Frame) is { } tensor) bytes += tensor.Data.Length;
        }

        reader.Complete();
        return new StreamRun(bytes, watch.Elapsed.TotalMilliseconds, wait, summary!.ComputeMs);
    }

    private static async Task<StreamRun> RunBareAsync(ArtifactService.ArtifactServiceClient client, long bytes, CancellationToken ct)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using AsyncServerStreamingCall<ReadArtifactFileResponse> call =
            client.ReadArtifactFile(new ReadArtifactFileRequest { Path = bytes.ToString(CultureInfo.InvariantCulture) }, cancellationToken: ct);
        long received = 0;
        await foreach (ReadArtifactFileResponse response in call.ResponseStream.ReadAllAsync(ct)) received += response.Data.Length;
        return received == bytes
            ? new StreamRun(received, watch.Elapsed.TotalMilliseconds, 0, 0)
            : throw new InvalidDataException($"{received} of {bytes} bytes came.");
    }

    private static WebApplication BuildServer(string data)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration["Lab:Data"] = data;
        builder.Configuration["Lab:Url"] = "http://127.0.0.1:0";
        builder.Configuration["Lab:Device"] = "cpu";
        builder.Configuration["Logging:LogLevel:Default"] = "Warning";
        builder.AddModelHost();
        WebApplication app = builder.Build();
        app.MapModelHost();
        app.MapGrpcService<PreparedBuffers>();
        return app;
    }

    /// <summary>The clients that the parts themselves use.</summary>
    private static WebApplication BuildClients(string address)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration["Lab:Services:ModelHost"] = address;
        builder.AddLabDefaults("Benchmarks");
        builder.Services.AddLabClient<ModelHostService.ModelHostServiceClient>("ModelHost");
        builder.Services.AddLabClient<ArtifactService.ArtifactServiceClient>("ModelHost");
        return builder.Build();
    }
}
