using System.Net;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Clients;
using Yarp.ReverseProxy.Forwarder;

namespace Lab.Gateway.Routing;

/// <summary>Hands every gRPC call of a service on to the part that has it, whatever the method: streams both ways, without buffering.</summary>
internal sealed class ServiceRoutes(IHttpForwarder forwarder, IHostApplicationLifetime lifetime) : IDisposable
{
    private const string GrpcUnavailable = "14";

    /// <summary>Proto packages by part.</summary>
    public static readonly IReadOnlyDictionary<string, string> Packages = new Dictionary<string, string>
    {
        ["ModelHost"] = "lab.model_host.v1",
        ["SparseTraining"] = "lab.sparse_training.v1",
        ["BridgeAlignment"] = "lab.bridge_alignment.v1",
        ["CircuitAnalysis"] = "lab.circuit_analysis.v1",
    };

    /// <summary>Services of other standards, by part.</summary>
    private static readonly IReadOnlyDictionary<string, string> Standards = new Dictionary<string, string>
    {
        ["ModelHost"] = "inference.GRPCInferenceService",
    };

    private static readonly ForwarderRequestConfig Request = new()
    {
        // gRPC without TLS: HTTP/2 from the first byte.
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        // A Watch of queued work may be silent for hours; callers bring their own deadlines, and the pings below find dead connections.
        ActivityTimeout = Timeout.InfiniteTimeSpan,
    };

    private readonly HttpMessageInvoker _client = new(CreateHandler());

    /// <summary>Maps the packages of the parts that have an address.</summary>
    public static void Map(WebApplication app, LabOptions options)
    {
        ServiceRoutes routes = app.Services.GetRequiredService<ServiceRoutes>();
        foreach ((string part, string package) in Packages)
            if (options.Services.TryGetValue(part, out string? address))
                app.Map($"/{package}.{{service}}/{{method}}", context => routes.ForwardAsync(context, part, address));
        foreach ((string part, string service) in Standards)
            if (options.Services.TryGetValue(part, out string? address))
                app.Map($"/{service}/{{method}}", context => routes.ForwardAsync(context, part, address));
    }

    public void Dispose() => _client.Dispose();

    private static SocketsHttpHandler CreateHandler()
    {
        SocketsHttpHandler handler = LabClients.CreateHandler();
        // Passed on as they come, not acted upon.
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        return handler;
    }

    private async Task ForwardAsync(HttpContext context, string part, string address)
    {
        // Streams may be of any size: the service behind has limits of its own.
        if (context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        // Otherwise open streams would hold up the end of the process.
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        ForwarderError error = await forwarder.SendAsync(context, address, _client, Request, HttpTransformer.Default, end.Token);
        if (error == ForwarderError.None || context.Response.HasStarted) return;

        // A bare HTTP error would tell a gRPC client little.
        context.Response.Clear();
        context.Response.StatusCode = StatusCodes.Status200OK;
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = GrpcUnavailable;
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString(
            lifetime.ApplicationStopping.IsCancellationRequested ? "The gateway is stopping." : $"{part} cannot be reached at {address}.");
    }
}
