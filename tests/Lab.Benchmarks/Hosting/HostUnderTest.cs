using System.Diagnostics;
using Grpc.Core;
using Lab.ModelHost;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Clients;
using Lab.Tensors;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.Benchmarks.Hosting;

/// <summary>A ModelHost on loopback with one model, and the clients that the lab's parts use.</summary>
internal sealed class HostUnderTest : IAsyncDisposable
{
    private const string ModelName = "models/benchmark";

    private readonly string _data;
    private readonly WebApplication _server;
    private readonly WebApplication _clients;

    private HostUnderTest(string data, WebApplication server, WebApplication clients) => (_data, _server, _clients) = (data, server, clients);

    /// <summary>The model's folder.</summary>
    public string Folder => Path.Combine(_data, "model");

    /// <summary>Where the host listens.</summary>
    public Uri Address => new(_server.Urls.Single());

    public ModelHostService.ModelHostServiceClient Models => _clients.Services.GetRequiredService<ModelHostService.ModelHostServiceClient>();

    public ArtifactService.ArtifactServiceClient Buffers => _clients.Services.GetRequiredService<ArtifactService.ArtifactServiceClient>();

    /// <summary>Writes a model into a temporary folder, starts a host and loads the model.</summary>
    public static async Task<HostUnderTest> StartAsync(Action<string> writeModel, CancellationToken ct)
    {
        string data = Directory.CreateTempSubdirectory("lab-benchmark-").FullName;
        writeModel(Directory.CreateDirectory(Path.Combine(data, "model")).FullName);
        WebApplication server = BuildServer(data);
        await server.StartAsync(ct);
        HostUnderTest host = new(data, server, BuildClients(server.Urls.Single()));
        _ = await host.Models.LoadModelAsync(new LoadModelRequest { Name = ModelName, Folder = host.Folder }, cancellationToken: ct);
        return host;
    }

    /// <summary>A request for some rows.</summary>
    public static RunRequest Request(IEnumerable<int[]> rows, params IEnumerable<string> captures) => new()
    {
        Model = ModelName,
        Input = new Input { Tokens = new TokenRows { Rows = { rows.Select(ids => new TokenRow { Ids = { ids } }) } } },
        Captures = { captures.Select(hook => new Selector { Hook = hook }) },
    };

    /// <summary>Runs, and receives every frame.</summary>
    /// <param name="request">The request.</param>
    /// <param name="ct">Cancels it.</param>
    /// <param name="assembles">Whether the client checks and assembles the tensors, or only takes the bytes.</param>
    /// <returns>Milliseconds and bytes of tensors.</returns>
    public async Task<(double Milliseconds, long Bytes)> RunAsync(RunRequest request, CancellationToken ct, bool assembles = true)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using AsyncServerStreamingCall<RunResponse> call = Models.Run(request, cancellationToken: ct);
        TensorFrameReader reader = new();
        (long bytes, RunSummary? summary) = (0, null);
        await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(ct))
        {
            if (response.Summary is not null) summary = response.Summary;
            else if (response.Frame is null) continue;
            else if (!assembles) bytes += response.Frame.Chunk?.Data.Length ?? 0;
            else if (reader.Accept(response.Frame) is { } tensor)
            {
                bytes += tensor.Data.Length;
                HostBufferPool.Shared.Return(tensor);
            }
        }

        reader.Complete();
        return summary is not null ? (watch.Elapsed.TotalMilliseconds, bytes) : throw new InvalidDataException("The run ended without a summary.");
    }

    public async ValueTask DisposeAsync()
    {
        await _clients.DisposeAsync();
        await _server.StopAsync();
        await _server.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    private static WebApplication BuildServer(string data)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration["Lab:Data"] = data;
        builder.Configuration["Lab:Url"] = "http://127.0.0.1:0";
        builder.Configuration["Lab:Device"] = "cpu";
        builder.Configuration["ModelHost:ModelFolders:0"] = data;
        builder.Configuration["Logging:LogLevel:Default"] = "Warning";
        builder.AddModelHost();
        WebApplication app = builder.Build();
        app.MapModelHost();
        app.MapGrpcService<PreparedBuffers>();
        return app;
    }

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
