using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;
using Lab.Tensors;
using Lab.Testing;
using StoredTensor = Lab.Protos.ModelHost.V1.StoredTensor;

namespace Lab.SparseTraining.Tests;

/// <summary>A model is taught to name the concept whose vector is added, with everything through the service.</summary>
public sealed class InterventionsEndpointTests : IAsyncLifetime
{
    private readonly TemporaryFolder _data = new();
    private PartHost _host = null!;
    private SparseTrainingService.SparseTrainingServiceClient _client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ArtifactStore Store => new(_data["lab", "artifacts"]);

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
    public async Task Train_ConceptsOfTheWordsThatAreNoticed_ChangesThoseSequencesAlone()
    {
        string corpus = await PrepareAsync();
        string concepts = await StoreConceptsAsync(corpus, width: 32);
        TrainingConfig config = Config(corpus, Notice(concepts));
        config.EvaluateInterventions = true;

        TrainingRun run = await TrainAsync(config);

        run.Status.Metrics["intervened_fraction"].ShouldBeInRange(0.05, 0.9);
        Math.Abs(run.Status.Metrics["held_out_loss_intervened"] - run.Status.Metrics["held_out_loss"]).ShouldBeGreaterThan(1e-4);
        StoredArtifact model = await Store.GetAsync(run.Model, Ct);
        model.Provenance.Inputs["config.interventions[0].vectors"].ShouldBe((await Store.GetAsync(concepts, Ct)).Digest);
        (await TrainAsync(Config(corpus))).Model.ShouldNotBe(run.Model);
    }

    [Fact]
    public async Task Train_ValueInTheStore_IsTheSameAsInline()
    {
        string corpus = await PrepareAsync();
        float[] values = [.. Enumerable.Range(0, 32).Select(i => i / 10f)];
        string stored = (await StoreAsync(HostTensor.FromFloats("only", values, 32))).Digest;
        await Store.SetNameAsync("tensors/only", stored, Ct);
        TrainingIntervention Rule(TensorSource value) => new()
        {
            Intervention = new Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_pre" }, Add = new AddOperation { Value = value } },
        };

        TrainingRun one = await TrainAsync(Config(corpus, Rule(new TensorSource { Stored = new StoredTensor { Artifact = "tensors/only" } })));
        TrainingRun other = await TrainAsync(Config(corpus, Rule(new TensorSource { Inline = HostTensor.FromFloats("x", values, 32).ToMessage() })));

        one.Config.Interventions[0].Intervention.Add.Value.Stored.Artifact.ShouldBe(stored, "the run keeps what the name meant");
        one.Curve.ShouldBe(other.Curve);
        one.Status.Metrics["intervened_fraction"].ShouldBe(1);
    }

    [Theory]
    [InlineData("config.interventions[0].intervention")]
    [InlineData("config.interventions[0].intervention.selector.hook")]
    [InlineData("config.interventions[0].intervention.add.value")]
    [InlineData("config.interventions[0].fraction")]
    [InlineData("config.interventions[0].vectors")]
    [InlineData("config.interventions[0].vectors.inline[0].name")]
    [InlineData("config.interventions[0].vectors.file")]
    [InlineData("config.interventions[0].vector_of_word_after")]
    [InlineData("config.evaluate_interventions")]
    public async Task CreateTrainingRun_WrongRule_NamesTheField(string field)
    {
        string corpus = await PrepareAsync();
        string concepts = await StoreConceptsAsync(corpus, width: field.EndsWith("vectors", StringComparison.Ordinal) ? 31 : 32);
        TrainingIntervention rule = Notice(concepts);
        TrainingConfig config = Config(corpus, rule);
        switch (field[(field.LastIndexOf('.') + 1)..])
        {
            case "intervention": rule.Intervention = null; break;
            case "hook": rule.Intervention.Selector.Hook = "blocks.0.hook_nothing"; break;
            case "value": rule.Vectors = null; rule.VectorOfWordAfter = ""; break;
            case "fraction": rule.Fraction = 1.5; break;
            case "name": rule.Vectors.Inline.Add(HostTensor.FromFloats("", [1], 1).ToMessage()); break;
            case "file": rule.Vectors.Artifact = corpus; break;
            case "vector_of_word_after": rule.VectorOfWordAfter = "thought abuot"; break;
            case "evaluate_interventions": config.Interventions.Clear(); config.EvaluateInterventions = true; break;
        }

        RpcException error = await Should.ThrowAsync<RpcException>(() => _client.CreateTrainingRunAsync(new CreateTrainingRunRequest { Config = config }, cancellationToken: Ct).ResponseAsync);

        error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        error.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations.Single().Field.ShouldBe(field);
    }

    [Fact]
    public async Task CreateTrainingRun_UnknownVectors_NamesTheField()
    {
        string corpus = await PrepareAsync();
        RpcException error = await Should.ThrowAsync<RpcException>(() => _client.CreateTrainingRunAsync(new CreateTrainingRunRequest { Config = Config(corpus, Notice("concepts/none")) }, cancellationToken: Ct).ResponseAsync);

        error.StatusCode.ShouldBe(StatusCode.NotFound);
        error.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Metadata["field"].ShouldBe("config.interventions[0].vectors.artifact");
    }

    private static TrainingIntervention Notice(string concepts) => new()
    {
        Intervention = new Intervention
        {
            Selector = new Selector { Hook = "blocks.0.hook_resid_post" },
            Add = new AddOperation { Coefficient = 0.5f, Unit = StrengthUnit.ResidualNorm },
        },
        FromTokenId = WordTokenizer.User,
        UntilTokenId = WordTokenizer.EndOfTurn,
        Vectors = new VectorChoice { Artifact = concepts },
        VectorOfWordAfter = "injected thought about",
    };

    private static TrainingConfig Config(string corpus, params TrainingIntervention[] rules) => new()
    {
        Corpus = corpus,
        Model = new ModelConfig { NLayers = 1, DModel = 32, NCtx = 32 },
        Recipe = new RecipeConfig { Steps = 12, BatchSize = 4, WeightFraction = 0.5, EvaluationTokens = 2048, EvaluationInterval = 12 },
        Interventions = { rules },
    };

    private async Task<string> PrepareAsync()
    {
        CorpusRun run = await _client.CreateCorpusRunAsync(
            new CreateCorpusRunRequest { RunId = "c", Config = new CorpusConfig { Dialogue = new DialogueSource { Bytes = 150_000, NoticedFraction = 1 } } }, cancellationToken: Ct);
        using AsyncServerStreamingCall<CorpusRun> watch = _client.WatchCorpusRun(new WatchCorpusRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (CorpusRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run.Corpus;
    }

    /// <summary>A vector for every word of the corpus.</summary>
    private async Task<string> StoreConceptsAsync(string corpus, int width)
    {
        StoredArtifact artifact = await Store.GetAsync(corpus, Ct);
        WordTokenizer tokenizer = WordTokenizer.Load(Store.GetPath(artifact, WordTokenizer.FileName));
        HostTensor[] vectors = [.. Enumerable.Range(4, tokenizer.VocabSize - 5).Select(id => HostTensor.FromFloats(tokenizer.Decode([id]), [.. Enumerable.Range(1, width).Select(i => MathF.Sin(id * i))], width))];
        return (await StoreAsync(vectors)).Digest;
    }

    private Task<StoredArtifact> StoreAsync(params HostTensor[] tensors) => Store.PutAsync(
        "tensors",
        new ArtifactProvenance("test", new Dictionary<string, string>(), [], 0),
        (folder, _) =>
        {
            SafetensorsWriter.Write(Path.Combine(folder, "vectors.safetensors"), tensors, new Dictionary<string, string>());
            return Task.CompletedTask;
        },
        Ct);

    private async Task<TrainingRun> TrainAsync(TrainingConfig config)
    {
        TrainingRun run = await _client.CreateTrainingRunAsync(new CreateTrainingRunRequest { Config = config }, cancellationToken: Ct);
        using AsyncServerStreamingCall<TrainingRun> watch = _client.WatchTrainingRun(new WatchTrainingRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (TrainingRun snapshot in watch.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        return run;
    }
}
