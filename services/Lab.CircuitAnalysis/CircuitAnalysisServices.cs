using Lab.Artifacts;
using Lab.CircuitAnalysis.Means;
using Lab.CircuitAnalysis.Runs;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Clients;
using Lab.ServiceDefaults.Runs;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.CircuitAnalysis;

/// <summary>Hosts the part.</summary>
public static class CircuitAnalysisServices
{
    /// <summary>Registers the part. It needs the address of ModelHost in Lab:Services:ModelHost.</summary>
    public static WebApplicationBuilder AddCircuitAnalysis(this WebApplicationBuilder builder)
    {
        builder.AddLabDefaults("CircuitAnalysis");
        IServiceCollection services = builder.Services;
        services.AddSingleton(s => new ArtifactStore(Path.Combine(s.GetRequiredService<IOptions<LabOptions>>().Value.Data, "artifacts")));
        services.AddLabClient<ModelHostService.ModelHostServiceClient>("ModelHost");
        services.AddSingleton<IMeanActivations, HostedMeanActivations>();
        services.AddSingleton(s => new PruningDevice(TorchRuntime.Configure(s.GetRequiredService<IOptions<LabOptions>>().Value.Device, s.GetRequiredService<IOptions<LabOptions>>().Value.Threads)));
        services.AddRuns<PruningRun, PruningExecutor>("pruningRuns");
        return builder;
    }

    /// <summary>Maps the part's calls.</summary>
    public static WebApplication MapCircuitAnalysis(this WebApplication app)
    {
        app.MapGrpcService<CircuitAnalysisEndpoint>();
        return app.MapLabDefaults();
    }
}
