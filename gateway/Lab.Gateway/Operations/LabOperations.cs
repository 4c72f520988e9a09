using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.Gateway.Operations;

/// <summary>The operations that the lab's services offer to experiments.</summary>
internal static class LabOperations
{
    public static IServiceCollection AddLabOperations(this IServiceCollection services)
    {
        services.AddLabClient<SparseTrainingService.SparseTrainingServiceClient>("SparseTraining");
        services.AddLabClient<BridgeAlignmentService.BridgeAlignmentServiceClient>("BridgeAlignment");
        services.AddLabClient<CircuitAnalysisService.CircuitAnalysisServiceClient>("CircuitAnalysis");
        services.AddLabClient<ModelHostService.ModelHostServiceClient>("ModelHost");
        return services
            .AddSingleton<SharedRuns>()
            .AddSingleton<OperationRegistry>()
            .AddSingleton(PrepareCorpus)
            .AddSingleton(Train)
            .AddSingleton(Align)
            .AddSingleton(Prune)
            .AddSingleton<IOperation, LoadModelOperation>();
    }

    private static IOperation PrepareCorpus(IServiceProvider services)
    {
        var client = services.GetRequiredService<SparseTrainingService.SparseTrainingServiceClient>();
        return new RunOperation<CorpusConfig, CorpusRun>("corpus.prepare", "corpusRuns", new(
            (id, config, options) => client.CreateCorpusRunAsync(new CreateCorpusRunRequest { RunId = id, Config = config }, options),
            (name, options) => client.ResumeCorpusRunAsync(new ResumeCorpusRunRequest { Name = name }, options),
            (name, options) => client.CancelCorpusRunAsync(new CancelCorpusRunRequest { Name = name }, options),
            (name, options) => client.WatchCorpusRun(new WatchCorpusRunRequest { Name = name }, options)), Shared(services), Time(services), Log(services))
        {
            // A folder of the machine may have changed; equal content gives an equal artifact anyway, so later steps stay cached.
            IsCacheable = false,
            Rewrite = CorpusSource.Rewrite,
        };
    }

    private static IOperation Train(IServiceProvider services)
    {
        var client = services.GetRequiredService<SparseTrainingService.SparseTrainingServiceClient>();
        return new RunOperation<TrainingConfig, TrainingRun>("training.train", "trainingRuns", new(
            (id, config, options) => client.CreateTrainingRunAsync(new CreateTrainingRunRequest { RunId = id, Config = config }, options),
            (name, options) => client.ResumeTrainingRunAsync(new ResumeTrainingRunRequest { Name = name }, options),
            (name, options) => client.CancelTrainingRunAsync(new CancelTrainingRunRequest { Name = name }, options),
            (name, options) => client.WatchTrainingRun(new WatchTrainingRunRequest { Name = name }, options)), Shared(services), Time(services), Log(services))
        {
            ArtifactInputs = ["corpus"],
            NamedOutput = "model",
            Course = ["checkpoints", "extensions", "stop_requested", "end", "evaluation", "published_model", "published_step"],
            CheckInputs = ExpansionInputs.Check,
            Rewrite = ExpansionInputs.Rewrite,
            // The newest checkpoint of a run is another one tomorrow.
            HasTimelessInputs = with => with["fork"] is not JsonObject fork || JsonNumbers.AsNumber(fork["step"]) is > 0,
            IsAsAsked = run => run.End != TrainingEnd.Stopped && run.Extensions.Count == 0,
        };
    }

    private static IOperation Align(IServiceProvider services)
    {
        var client = services.GetRequiredService<BridgeAlignmentService.BridgeAlignmentServiceClient>();
        return new RunOperation<AlignmentConfig, AlignmentRun>("bridge.align", "alignmentRuns", new(
            (id, config, options) => client.CreateAlignmentRunAsync(new CreateAlignmentRunRequest { RunId = id, Config = config }, options),
            (name, options) => client.ResumeAlignmentRunAsync(new ResumeAlignmentRunRequest { Name = name }, options),
            (name, options) => client.CancelAlignmentRunAsync(new CancelAlignmentRunRequest { Name = name }, options),
            (name, options) => client.WatchAlignmentRun(new WatchAlignmentRunRequest { Name = name }, options)), Shared(services), Time(services), Log(services))
        {
            ArtifactInputs = ["dense_model", "sparse_model", "corpus"],
            NamedOutput = "bridge",
        };
    }

    private static IOperation Prune(IServiceProvider services)
    {
        var client = services.GetRequiredService<CircuitAnalysisService.CircuitAnalysisServiceClient>();
        return new RunOperation<PruningConfig, PruningRun>("circuit.prune", "pruningRuns", new(
            (id, config, options) => client.CreatePruningRunAsync(new CreatePruningRunRequest { RunId = id, Config = config }, options),
            (name, options) => client.ResumePruningRunAsync(new ResumePruningRunRequest { Name = name }, options),
            (name, options) => client.CancelPruningRunAsync(new CancelPruningRunRequest { Name = name }, options),
            (name, options) => client.WatchPruningRun(new WatchPruningRunRequest { Name = name }, options)), Shared(services), Time(services), Log(services))
        {
            ArtifactInputs = ["model", "corpus"],
            NamedOutput = "circuit",
        };
    }

    private static SharedRuns Shared(IServiceProvider services) => services.GetRequiredService<SharedRuns>();

    private static TimeProvider Time(IServiceProvider services) => services.GetRequiredService<TimeProvider>();

    private static ILogger Log(IServiceProvider services) => services.GetRequiredService<ILoggerFactory>().CreateLogger("Lab.Gateway.Operations");
}
