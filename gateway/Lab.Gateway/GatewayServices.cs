using System.Net;
using System.Net.Sockets;
using Lab.Artifacts;
using Lab.Gateway.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Gateway.Engine;
using Lab.Gateway.Experiments;
using Lab.Gateway.Operations;
using Lab.Gateway.Reports;
using Lab.Gateway.Routing;
using Lab.Gateway.Storage;
using Lab.ServiceDefaults;
using Microsoft.Extensions.Options;
using Orleans.Runtime.Hosting;

namespace Lab.Gateway;

/// <summary>The gateway as a part of an application.</summary>
public static class GatewayServices
{
    private const string Part = "Gateway";

    /// <summary>
    /// Adds the experiments, the artifact service, and the routes to the services whose addresses <see cref="LabOptions.Services"/> has.
    /// Runs that an earlier process left unfinished go on when the application starts.
    /// </summary>
    public static WebApplicationBuilder AddGateway(this WebApplicationBuilder builder)
    {
        builder.AddLabDefaults(Part);
        IServiceCollection services = builder.Services;
        services.AddOptions<GatewayOptions>().BindConfiguration(GatewayOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(s => new ArtifactStore(Path.Combine(Lab(s).Data, "artifacts"), s.GetRequiredService<TimeProvider>()));
        services.AddLabOperations();
        services.AddSingleton<ExperimentPlanner>();
        services.AddSingleton<ExperimentCatalog>();
        builder.AddEngine();
        services.AddHttpForwarder();
        services.AddSingleton<ServiceRoutes>();
        return builder;
    }

    /// <summary>Maps what <see cref="AddGateway"/> added.</summary>
    public static WebApplication MapGateway(this WebApplication app)
    {
        app.MapLabDefaults();
        app.MapGrpcService<ExperimentEndpoint>();
        app.MapGrpcService<ArtifactEndpoint>();
        ServiceRoutes.Map(app, Lab(app.Services));
        return app;
    }

    private static void AddEngine(this WebApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.AddSingleton<GatewayFolder>();
        services.AddSingleton(new AtomicFile());
        services.AddSingleton(s => new FileGrainStorage(s.GetRequiredService<GatewayFolder>().Grains, s.GetRequiredService<AtomicFile>()));
        services.AddGrainStorage(ExperimentRunGrain.StorageName, (s, _) => s.GetRequiredService<FileGrainStorage>());
        services.AddSingleton<StepCache>();
        services.AddSingleton<StepExecutor>();
        services.AddSingleton<IReportBuilder, ReportBuilder>();
        services.AddSingleton<ReportStep>();
        services.AddSingleton<RunWorkFactory>();
        services.AddSingleton<RunIndex>();
        // One silo, reachable from this machine only, and with a port of its own, so that several labs fit on one machine. Clients of
        // the silo are in this process, so that it needs no client port.
        builder.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), gatewayPort: 0, primarySiloEndpoint: null, "lab", "lab"));
        // After the silo in the order of starting.
        services.AddHostedService<RunRecovery>();
        // At every start of a silo these two warn of what does not matter here: the garbage collector's mode, and the first beat of a
        // watchdog.
        builder.Logging.AddFilter("Orleans", LogLevel.Warning)
            .AddFilter("Orleans.Runtime.Silo", LogLevel.Error)
            .AddFilter("Orleans.Runtime.Watchdog", LogLevel.Error);
        // Two lines for each call that is handed on.
        builder.Logging.AddFilter("Yarp", LogLevel.Warning);
    }

    private static int FreePort()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static LabOptions Lab(IServiceProvider services) => services.GetRequiredService<IOptions<LabOptions>>().Value;
}
