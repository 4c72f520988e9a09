using Lab.Artifacts;
using Lab.ModelHost.Diffs;
using Lab.ModelHost.Generation;
using Lab.ModelHost.Gradients;
using Lab.ModelHost.OpenInference;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Sources;
using Lab.ModelHost.Statistics;
using Lab.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost;

/// <summary>Registers and maps the ModelHost part.</summary>
public static class ModelHostServices
{
    /// <summary>The part's name.</summary>
    public const string Part = "ModelHost";

    /// <summary>Adds the part: its registry of models begins to restore them when the application starts.</summary>
    public static WebApplicationBuilder AddModelHost(this WebApplicationBuilder builder)
    {
        builder.AddLabDefaults(Part);
        IServiceCollection services = builder.Services;
        services.AddOptions<ModelHostOptions>().BindConfiguration(ModelHostOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(s => new ArtifactStore(Path.Combine(DataOf(s), "artifacts"), s.GetRequiredService<TimeProvider>()));
        services.AddSingleton(s => new ResidentList(Path.Combine(DataOf(s), "model-host", "models.json")));
        services.AddSingleton<ModelFolders>();
        services.AddSingleton<ModelMemory>();
        services.AddSingleton<ModelLoader>();
        services.AddSingleton<ModelRegistry>();
        services.AddHostedService(s => s.GetRequiredService<ModelRegistry>());
        services.AddSingleton<RunLimits>();
        services.AddSingleton<PassRunner>();
        services.AddSingleton<RunCalls>();
        services.AddSingleton<RunManyCalls>();
        services.AddSingleton<GenerationCalls>();
        services.AddSingleton<IntactFiles>();
        services.AddSingleton<TensorSources>();
        services.AddGrpc().AddServiceOptions<ModelHostEndpoint>(grpc => grpc.Interceptors.Add<TensorSourceInterceptor>());
        services.AddSingleton<StatisticsInputs>();
        services.AddSingleton<StatisticsCollector>();
        services.AddSingleton<StatisticsMerger>();
        services.AddSingleton<StatisticsReply>();
        services.AddSingleton<StatisticsCalls>();
        services.AddSingleton<GradientCalls>();
        services.AddSingleton<DiffCalls>();
        return builder;
    }

    /// <summary>Maps the part's calls.</summary>
    public static WebApplication MapModelHost(this WebApplication app)
    {
        app.MapGrpcService<ModelHostEndpoint>();
        app.MapGrpcService<OpenInferenceEndpoint>();
        return app.MapLabDefaults();
    }

    private static string DataOf(IServiceProvider services) => services.GetRequiredService<IOptions<LabOptions>>().Value.Data;
}
