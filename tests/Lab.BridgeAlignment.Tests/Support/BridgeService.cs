using Grpc.Net.Client;
using Lab.BridgeAlignment.Streams;
using Lab.Protos.BridgeAlignment.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>The whole part in this process, with models of its own in place of ModelHost.</summary>
internal sealed class BridgeService : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly GrpcChannel _channel;

    private BridgeService(WebApplication app, ModelSource source)
    {
        (_app, Source) = (app, source);
        _channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = app.GetTestServer().CreateHandler() });
        Client = new BridgeAlignmentService.BridgeAlignmentServiceClient(_channel);
    }

    public BridgeAlignmentService.BridgeAlignmentServiceClient Client { get; }

    public ModelSource Source { get; }

    public static async Task<BridgeService> StartAsync(TinyLab lab)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration["Lab:Data"] = lab.Data;
        builder.Configuration["Lab:Device"] = "cpu";
        builder.Configuration["Lab:Threads"] = "1";
        builder.Configuration["Lab:Services:ModelHost"] = "http://localhost";
        builder.AddBridgeAlignment();
        builder.Logging.ClearProviders();
        builder.WebHost.UseTestServer();
        ModelSource source = lab.Source;
        builder.Services.AddSingleton<IActivationSource>(source);
        WebApplication app = builder.Build();
        app.MapBridgeAlignment();
        await app.StartAsync();
        return new BridgeService(app, source);
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        Source.Dispose();
    }
}
