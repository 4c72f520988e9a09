using Grpc.Core;
using Lab.Artifacts;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Corpora;
using Lab.SparseTraining.Training;
using Lab.SparseTraining.Training.Interventions;

namespace Lab.SparseTraining;

/// <summary>The gRPC surface: validates, then hands over to the durable runs.</summary>
internal sealed class SparseTrainingEndpoint(RunRegistry<CorpusRun> corpora, RunRegistry<TrainingRun> trainings, TrainingForks forks, ArtifactStore store)
    : SparseTrainingService.SparseTrainingServiceBase
{
    public override Task<CorpusRun> CreateCorpusRun(CreateCorpusRunRequest request, ServerCallContext context)
    {
        CorpusMapping.Validate(request.Config);
        return Task.FromResult(corpora.Create(request.RunId, new CorpusRun { Config = request.Config }));
    }

    public override Task<CorpusRun> GetCorpusRun(GetCorpusRunRequest request, ServerCallContext context) =>
        Task.FromResult(corpora.Get(request.Name));

    public override Task<ListCorpusRunsResponse> ListCorpusRuns(ListCorpusRunsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<CorpusRun> runs, string next) = corpora.List(request.PageSize, request.PageToken);
        return Task.FromResult(new ListCorpusRunsResponse { CorpusRuns = { runs }, NextPageToken = next });
    }

    public override Task<CorpusRun> CancelCorpusRun(CancelCorpusRunRequest request, ServerCallContext context) =>
        Task.FromResult(corpora.Cancel(request.Name));

    public override Task<CorpusRun> ResumeCorpusRun(ResumeCorpusRunRequest request, ServerCallContext context) =>
        Task.FromResult(corpora.Resume(request.Name));

    public override Task WatchCorpusRun(WatchCorpusRunRequest request, IServerStreamWriter<CorpusRun> responses, ServerCallContext context) =>
        responses.WriteAllAsync(corpora.Watch(request.Name, context.CancellationToken), context.CancellationToken);

    public override async Task<TrainingRun> CreateTrainingRun(CreateTrainingRunRequest request, ServerCallContext context)
    {
        TrainingMapping.Validate(request.Config);
        StoredArtifact corpus = await ArtifactPins.PinAsync(store, request.Config, context.CancellationToken);
        await forks.CheckAsync(request.Config, corpus, context.CancellationToken);
        TrainingMapping.RequireRoom(request.Config);
        TrainingMapping.RequireMemory(request.Config, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if (request.Config.Interventions.Count > 0) await TrainingInterventions.RequireAsync(store, corpus, request.Config, context.CancellationToken);
        return trainings.Create(request.RunId, new TrainingRun { Config = request.Config }, folder => forks.Prepare(request.Config, folder));
    }

    public override Task<TrainingRun> GetTrainingRun(GetTrainingRunRequest request, ServerCallContext context) =>
        Task.FromResult(trainings.Get(request.Name));

    public override Task<ListTrainingRunsResponse> ListTrainingRuns(ListTrainingRunsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<TrainingRun> runs, string next) = trainings.List(request.PageSize, request.PageToken);
        return Task.FromResult(new ListTrainingRunsResponse { TrainingRuns = { runs }, NextPageToken = next });
    }

    public override Task<TrainingRun> CancelTrainingRun(CancelTrainingRunRequest request, ServerCallContext context) =>
        Task.FromResult(trainings.Cancel(request.Name));

    public override Task<TrainingRun> ResumeTrainingRun(ResumeTrainingRunRequest request, ServerCallContext context) =>
        Task.FromResult(trainings.Resume(request.Name, run => run.StopRequested = false));

    public override Task<TrainingRun> StopTrainingRun(StopTrainingRunRequest request, ServerCallContext context) =>
        Task.FromResult(trainings.Change(request.Name, TrainingRunMapping.Stop));

    public override Task<TrainingRun> ExtendTrainingRun(ExtendTrainingRunRequest request, ServerCallContext context) =>
        trainings.ReopenAsync(
            request.Name,
            run => TrainingRunMapping.Extend(run, request, CheckpointFolder.StepsIn(trainings.WorkFolder(request.Name))),
            context.CancellationToken);

    public override Task WatchTrainingRun(WatchTrainingRunRequest request, IServerStreamWriter<TrainingRun> responses, ServerCallContext context) =>
        responses.WriteAllAsync(trainings.Watch(request.Name, context.CancellationToken), context.CancellationToken);
}
