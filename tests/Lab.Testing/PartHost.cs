using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;

namespace Lab.Testing;

/// <summary>One part of the lab on a free loopback port, as its own process would host it, and a channel to it.</summary>
public sealed class PartHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private PartHost(WebApplication app)
    {
        _app = app;
        Url = app.Urls.Single();
        Channel = GrpcChannel.ForAddress(Url, new GrpcChannelOptions { MaxReceiveMessageSize = 16 << 20 });
    }

    /// <summary>The address.</summary>
    public string Url { get; }

    /// <summary>A channel to the part.</summary>
    public GrpcChannel Channel { get; }

    /// <summary>The part's services.</summary>
    public IServiceProvider Services => _app.Services;

    /// <summary>Starts a part.</summary>
    /// <param name="data">The data folder.</param>
    /// <param name="add">The part's AddX.</param>
    /// <param name="map">The part's MapX.</param>
    /// <param name="settings">Further configuration, such as ("Lab:Services:ModelHost", address).</param>
    public static async Task<PartHost> StartAsync(
        string data, Action<WebApplicationBuilder> add, Action<WebApplication> map, params (string Key, string Value)[] settings)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        Dictionary<string, string?> values = new()
        {
            ["Lab:Data"] = data,
            ["Lab:Url"] = "http://127.0.0.1:0",
            ["Logging:LogLevel:Default"] = "None",
        };
        foreach ((string key, string value) in settings) values[key] = value;
        builder.Configuration.AddInMemoryCollection(values);
        add(builder);
        WebApplication app = builder.Build();
        map(app);
        await app.StartAsync();
        return new PartHost(app);
    }

    /// <summary>Stops the part as its process would on SIGTERM.</summary>
    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
