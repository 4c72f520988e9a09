using Grpc.Core;
using Lab.Artifacts;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.Testing;

namespace Lab.SparseTraining.Tests;

public sealed class CorpusSourcesEndpointTests : IAsyncLifetime
{
    private readonly TemporaryFolder _data = new();
    private PartHost _host = null!;
    private SparseTrainingService.SparseTrainingServiceClient _client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = await PartHost.StartAsync(_data["lab"], builder => builder.AddSparseTraining(), app => app.MapSparseTraining());
        _client = new SparseTrainingService.SparseTrainingServiceClient(_host.Channel);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _data.Dispose();
    }

    [Fact]
    public async Task Train_DialogueCorpus_StoresTheWordsWithTheModel()
    {
        CorpusRun corpus = await PrepareAsync(new CorpusConfig { Dialogue = new DialogueSource { Bytes = 60_000 } });
        TrainingRun run = await _client.CreateTrainingRunAsync(
            new CreateTrainingRunRequest
            {
                Config = new TrainingConfig
                {
                    Corpus = corpus.Corpus,
                    Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 16 },
                    Recipe = new RecipeConfig { Steps = 6, BatchSize = 2, WeightFraction = 0.5, EvaluationTokens = 64 },
                },
            },
            cancellationToken: Ct);
        using AsyncServerStreamingCall<TrainingRun> watch = _client.WatchTrainingRun(new WatchTrainingRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (TrainingRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        StoredArtifact model = await new ArtifactStore(_data["lab", "artifacts"]).GetAsync(run.Model, Ct);
        model.Files.Select(file => file.Path).ShouldContain("words.json");
        model.Files.Select(file => file.Path).ShouldNotContain("vocab.json");
    }

    [Fact]
    public async Task CreateCorpusRun_MixOfGenerators_SaysWhatItWasMadeFrom()
    {
        CorpusRun run = await PrepareAsync(new CorpusConfig
        {
            VocabSize = 300,
            Mix = new MixSource
            {
                Parts = { new MixPart { Idioms = new IdiomSource { Bytes = 30_000, IdiomWeights = { ["var_swap"] = 5 } } }, new MixPart { Generated = new GeneratedSource { Bytes = 30_000 }, Weight = 0.5 } },
            },
        });

        run.SourceDescription.ShouldSatisfyAllConditions(d => d.ShouldContain("idioms"), d => d.ShouldContain("generated Python programs"));
        run.Status.Metrics["bytes"].ShouldBeInRange(30_000, 70_000);
    }

    [Fact]
    public async Task CreateCorpusRun_UnknownIdiom_NamesTheField()
    {
        var config = new CorpusConfig { Idioms = new IdiomSource { IdiomWeights = { ["swap"] = 1 } } };

        RpcException error = await Should.ThrowAsync<RpcException>(() => _client.CreateCorpusRunAsync(new CreateCorpusRunRequest { Config = config }, cancellationToken: Ct).ResponseAsync);

        error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        error.Status.Detail.ShouldSatisfyAllConditions(d => d.ShouldContain("config.idioms.idiom_weights"), d => d.ShouldContain("var_swap"));
    }

    private async Task<CorpusRun> PrepareAsync(CorpusConfig config)
    {
        CorpusRun run = await _client.CreateCorpusRunAsync(new CreateCorpusRunRequest { Config = config }, cancellationToken: Ct);
        using AsyncServerStreamingCall<CorpusRun> watch = _client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (CorpusRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run;
    }
}
