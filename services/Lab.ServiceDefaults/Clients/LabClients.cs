using Grpc.Core;
using Grpc.Net.ClientFactory;
using Lab.ServiceDefaults.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Clients;

/// <summary>Clients of the lab's other parts.</summary>
public static class LabClients
{
    /// <summary>
    /// Adds the typed gRPC client of a service of another part, at the address in <see cref="LabOptions.Services"/>, whose lack stops
    /// the start. Its unary calls are retried, with jitter, on UNAVAILABLE for up to 2 minutes, so a restart of the part goes
    /// unnoticed; a circuit breaker is shared by all clients of the part. A unary call has a deadline of 5 minutes unless it brings its
    /// own, a streaming call 24 hours; inside an RPC its deadline and cancellation are passed on. Streaming calls are not retried: see
    /// <see cref="LabResilience"/>.
    /// </summary>
    /// <remarks>Every unary method of the lab may be repeated, except a Create without an ID: always choose the ID of a run.</remarks>
    /// <typeparam name="TClient">The generated client.</typeparam>
    /// <param name="services">The services; LabOptions and TimeProvider are there through AddLabDefaults.</param>
    /// <param name="part">The part that has the service: "ModelHost".</param>
    public static IHttpClientBuilder AddLabClient<TClient>(this IServiceCollection services, string part)
        where TClient : ClientBase<TClient>
    {
        services.AddOptions<LabOptions>().Validate(
            o => o.Services.ContainsKey(part), $"There is no address of {part}: set Lab:Services:{part} (in the environment Lab__Services__{part}).");
        services.TryAddKeyedSingleton(part, (s, _) => new CallPipeline(part, s.GetRequiredService<TimeProvider>()));
        services.AddHttpContextAccessor();
        return services
            .AddGrpcClient<TClient>((s, grpc) => grpc.Address = new Uri(s.GetRequiredService<IOptions<LabOptions>>().Value.Services[part]))
            .ConfigureChannel(channel => channel.MaxReceiveMessageSize = GrpcLimits.MessageBytes)
            .AddInterceptor(InterceptorScope.Channel, s => new ResilienceInterceptor(
                s.GetRequiredKeyedService<CallPipeline>(part), s.GetRequiredService<TimeProvider>()))
            .EnableCallContextPropagation(o => o.SuppressContextNotFoundErrors = true)
            .ConfigurePrimaryHttpMessageHandler(CreateHandler)
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan);
    }

    /// <summary>The transport of every client of the lab: windows of 8 MiB, several connections, pings that find a dead one.</summary>
    public static SocketsHttpHandler CreateHandler() => new()
    {
        InitialHttp2StreamWindowSize = GrpcLimits.WindowBytes,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = TimeSpan.FromSeconds(30),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(20),
        // Parts are reached directly; a proxy of the environment is meant for other traffic.
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
    };
}
