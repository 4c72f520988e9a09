using Lab.Artifacts;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Corpora;
using Lab.SparseTraining.Training;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.SparseTraining;

/// <summary>Registers and maps the SparseTraining part.</summary>
public static class SparseTrainingServices
{
    /// <summary>Adds the part's services.</summary>
    public static WebApplicationBuilder AddSparseTraining(this WebApplicationBuilder builder)
    {
        builder.AddLabDefaults("SparseTraining");
        builder.Services.AddSingleton(services =>
        {
            LabOptions options = services.GetRequiredService<IOptions<LabOptions>>().Value;
            TorchRuntime.Configure(options.Threads);
            return new ArtifactStore(Path.Combine(options.Data, "artifacts"), services.GetRequiredService<TimeProvider>());
        });
        builder.Services.AddSingleton<MatmulPeak>().AddSingleton<TrainingForks>();
        // One training at a time: each uses all cores.
        builder.Services.AddRuns<CorpusRun, CorpusExecutor>("corpusRuns");
        builder.Services.AddRuns<TrainingRun, TrainingExecutor>("trainingRuns");
        return builder;
    }

    /// <summary>Maps the part's endpoints.</summary>
    public static WebApplication MapSparseTraining(this WebApplication app)
    {
        app.MapLabDefaults();
        app.MapGrpcService<SparseTrainingEndpoint>();
        return app;
    }
}
