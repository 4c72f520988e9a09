using Lab.Artifacts;
using Lab.BridgeAlignment.Runs;
using Lab.BridgeAlignment.Streams;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Clients;
using Lab.ServiceDefaults.Runs;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.BridgeAlignment;

/// <summary>Hosts the part.</summary>
public static class BridgeAlignmentServices
{
    private const string Part = "BridgeAlignment";

    /// <summary>Registers the part. It needs the address of ModelHost in Lab:Services:ModelHost.</summary>
    public static WebApplicationBuilder AddBridgeAlignment(this WebApplicationBuilder builder)
    {
        builder.AddLabDefaults(Part);
        IServiceCollection services = builder.Services;
        services.AddSingleton(s => new ArtifactStore(Path.Combine(s.GetRequiredService<IOptions<LabOptions>>().Value.Data, "artifacts")));
        services.AddLabClient<ModelHostService.ModelHostServiceClient>("ModelHost");
        services.AddSingleton<IActivationSource, GrpcActivationSource>();
        services.AddRuns<AlignmentRun, AlignmentExecutor>("alignmentRuns");
        return builder;
    }

    /// <summary>Maps the part's calls.</summary>
    public static WebApplication MapBridgeAlignment(this WebApplication app)
    {
        app.MapGrpcService<BridgeAlignmentEndpoint>();
        return app.MapLabDefaults();
    }
}
