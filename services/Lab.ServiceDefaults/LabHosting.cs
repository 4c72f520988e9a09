using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults;

/// <summary>What every part of the lab has, whatever it does.</summary>
public static class LabHosting
{
    // Lowest in precedence: any other source of configuration overrides these.
    private static readonly Dictionary<string, string?> LogLevels = new()
    {
        ["Logging:LogLevel:Default"] = nameof(LogLevel.Information),
        ["Logging:LogLevel:Microsoft"] = nameof(LogLevel.Warning),
        // Logs an error whenever a part is not ready, as while it stops. Those who ask are told.
        ["Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks"] = nameof(LogLevel.None),
        ["Logging:LogLevel:System"] = nameof(LogLevel.Warning),
        ["Logging:LogLevel:Grpc"] = nameof(LogLevel.Warning),
        ["Logging:LogLevel:Polly"] = nameof(LogLevel.Warning),
    };

    /// <summary>
    /// Adds validated <see cref="LabOptions"/>, Kestrel on <see cref="LabOptions.Url"/> (HTTP/2 without TLS, windows of 8 MiB, frames of
    /// 1 MiB), gRPC with messages of at most 16 MiB whose exceptions become google.rpc.Status, grpc.health.v1 (under "" and the part's
    /// name; further health checks count in both), reflection, one-line console logging and <see cref="TimeProvider.System"/>.
    /// </summary>
    /// <param name="builder">The application.</param>
    /// <param name="part">The part's name: "ModelHost" for instance.</param>
    public static WebApplicationBuilder AddLabDefaults(this WebApplicationBuilder builder, string part)
    {
        ((IConfigurationBuilder)builder.Configuration).Sources.Insert(0, new MemoryConfigurationSource { InitialData = LogLevels });
        builder.Logging.ClearProviders().AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
        });

        IServiceCollection services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<LabOptions>().BindConfiguration(LabOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.PostConfigure<LabOptions>(o => o.Data = string.IsNullOrWhiteSpace(o.Data) ? "" : Path.GetFullPath(o.Data));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<LabOptions>, LabOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<KestrelServerOptions>, KestrelSetup>());

        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = GrpcLimits.MessageBytes;
            grpc.Interceptors.Add<ErrorInterceptor>();
        });
        services.AddGrpcReflection();

        services.AddSingleton(s => ActivatorUtilities.CreateInstance<StartupReport>(s, part));
        services.AddHostedService(s => s.GetRequiredService<StartupReport>());
        services.AddGrpcHealthChecks(health => health.Services.Map(part, _ => true))
            .Add(new HealthCheckRegistration(part, s => s.GetRequiredService<StartupReport>(), failureStatus: null, tags: null));
        // Health.Watch sees what the publisher last found.
        services.Configure<HealthCheckPublisherOptions>(o => (o.Delay, o.Period) = (TimeSpan.Zero, TimeSpan.FromSeconds(5)));
        return builder;
    }

    /// <summary>Maps grpc.health.v1 and reflection.</summary>
    public static WebApplication MapLabDefaults(this WebApplication app)
    {
        app.MapGrpcHealthChecksService();
        app.MapGrpcReflectionService();
        return app;
    }
}
