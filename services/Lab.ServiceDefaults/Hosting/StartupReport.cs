using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Hosting;

/// <summary>
/// Says in one line that the part is up and where, and answers the readiness check of its name: ready as soon as the server listens,
/// which it does after all other hosted services have started, until the host stops.
/// </summary>
internal sealed partial class StartupReport(
    string part, IServer server, IOptions<LabOptions> options, IHostApplicationLifetime lifetime, ILoggerFactory loggers)
    : IHostedLifecycleService, IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested
            ? HealthCheckResult.Unhealthy($"{part} is stopping.")
            : HealthCheckResult.Healthy());

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        ILogger logger = loggers.CreateLogger($"Lab.{part}");
        ICollection<string> addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        LogStarted(logger, part, addresses, options.Value.Data);
        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Information, Message = "{Part} listens on {Addresses}; data in {Data}")]
    private static partial void LogStarted(ILogger logger, string part, ICollection<string> addresses, string data);
}
