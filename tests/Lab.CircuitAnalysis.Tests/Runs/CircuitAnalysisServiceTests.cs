using System.Text.Json;
using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.CircuitAnalysis.Means;
using Lab.CircuitAnalysis.Runs;
using Lab.CircuitAnalysis.Tests.Means;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Runs;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.CircuitAnalysis.Tests.Runs;

/// <summary>The part over real connections, with a model of random weights and a fake ModelHost.</summary>
public sealed class CircuitAnalysisServiceTests : IAsyncLifetime
{
    private static readonly string[] _python = ["def main():\n    print(\"hello world\")\n    raise ValueError('unknown file')\n", "x = open('name')\nprint(\"bad value\")\n"];

    private readonly TemporaryFolder _data = new();
    private TransformerConfig _config = null!;
    private FakeModelHost _fake = null!;
    private PartHost _modelHost = null!;
    private PartHost _part = null!;
    private ArtifactStore _store = null!;

    [Fact]
    public async Task CreatePruningRun_GoodConfig_StoresTheCircuitUnderItsName()
    {
        CircuitAnalysisService.CircuitAnalysisServiceClient client = new(_part.Channel);
        PruningRun run = await WatchAsync(client, await client.CreatePruningRunAsync(Request("first", Config()), cancellationToken: Ct));

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.Evaluation.TargetReached.ShouldBeTrue();
        run.Evaluation.Nodes.ShouldBeLessThan(run.Evaluation.TotalNodes);
        run.Status.Metrics["circuit.nodes"].ShouldBe(run.Evaluation.Nodes);
        run.Status.Metrics["step"].ShouldBe(4);
        StoredArtifact circuit = await _store.GetAsync("circuits/quotes", Ct);
        circuit.Digest.ShouldBe(run.Circuit);
        circuit.Kind.ShouldBe("circuit");
        circuit.Provenance.Inputs["model"].ShouldBe((await _store.GetAsync("models/tiny", Ct)).Digest);
        using JsonDocument json = JsonDocument.Parse(await File.ReadAllBytesAsync(_store.GetPath(circuit, "circuit.json"), Ct));
        json.RootElement.GetProperty("nodes").GetArrayLength().ShouldBe(run.Evaluation.Nodes);
        (await File.ReadAllTextAsync(_store.GetPath(circuit, "circuit.dot"), Ct)).ShouldStartWith("digraph circuit {");

        // The same once more, in a run of its own: the same bytes, so the same digest.
        PruningRun again = await WatchAsync(client, await client.CreatePruningRunAsync(Request("second", Config()), cancellationToken: Ct));
        again.Circuit.ShouldBe(run.Circuit);
        (await client.ListPruningRunsAsync(new ListPruningRunsRequest(), cancellationToken: Ct)).PruningRuns.Select(r => r.Name)
            .ShouldBe(["pruningRuns/second", "pruningRuns/first"]);
    }

    [Fact]
    public async Task ExecuteAsync_CutOffAfterASearch_GoesOnWithWhatItBeganWith()
    {
        string whole = await ExecuteAsync("whole");
        int rows = _fake.Rows;

        // What is on disk after the first of two searches. By now the model's name points at another model.
        Directory.CreateDirectory(_data["resumed"]);
        foreach (string file in new[] { "inputs.json", "means.safetensors", "search-0.json" }) File.Copy(_data["whole", file], _data["resumed", file]);
        await StoreModelAsync("models/tiny", seed: 99);

        (await ExecuteAsync("resumed")).ShouldBe(whole);
        _fake.Rows.ShouldBe(rows);
        (await ExecuteAsync("fresh")).ShouldNotBe(whole);
    }

    [Fact]
    public async Task ResumePruningRun_ModelHostRefusedAtFirst_Succeeds()
    {
        CircuitAnalysisService.CircuitAnalysisServiceClient client = new(_part.Channel);
        _fake.Refusals = 1;
        PruningRun run = await WatchAsync(client, await client.CreatePruningRunAsync(Request("refused", Config()), cancellationToken: Ct));
        run.Status.State.ShouldBe(RunState.Failed);
        run.Status.Error.Code.ShouldBe((int)Code.FailedPrecondition);
        run.Status.Error.Message.ShouldBe("not resident");

        run = await WatchAsync(client, await client.ResumePruningRunAsync(new ResumePruningRunRequest { Name = run.Name }, cancellationToken: Ct));

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
    }

    [Theory]
    [InlineData("config.model", "models/unknown", "corpora/tiny", "circuits/quotes")]
    [InlineData("config.model", "no name", "corpora/tiny", "circuits/quotes")]
    [InlineData("config.model", "corpora/tiny", "corpora/tiny", "circuits/quotes")]
    [InlineData("config.corpus", "models/tiny", "corpora/unknown", "circuits/quotes")]
    [InlineData("config.output_name", "models/tiny", "corpora/tiny", "no name")]
    [InlineData("config.output_name", "models/tiny", "corpora/tiny", "sha256:00")]
    public async Task CreatePruningRun_WrongArtifact_IsInvalidArgumentOfTheField(string field, string model, string corpus, string output)
    {
        CircuitAnalysisService.CircuitAnalysisServiceClient client = new(_part.Channel);
        PruningConfig config = Config();
        (config.Model, config.Corpus, config.OutputName) = (model, corpus, output);

        RpcException e = await Should.ThrowAsync<RpcException>(async () => await client.CreatePruningRunAsync(Request("bad", config), cancellationToken: Ct));

        e.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        e.GetRpcStatus()!.GetDetail<BadRequest>().FieldViolations.ShouldHaveSingleItem().Field.ShouldBe(field);
    }

    [Fact]
    public async Task CreatePruningRun_DamagedModel_FailsWithDataLoss()
    {
        CircuitAnalysisService.CircuitAnalysisServiceClient client = new(_part.Channel);
        StoredArtifact model = await _store.PutAsync("model", Provenance(), async (folder, token) =>
        {
            foreach (string file in new[] { "config.json", "vocab.json", "merges.txt" })
                File.Copy(_store.GetPath(await _store.GetAsync("models/tiny", token), file), Path.Combine(folder, file));
            await File.WriteAllTextAsync(Path.Combine(folder, "model.safetensors"), "not tensors", token);
        }, Ct);
        PruningConfig config = Config();
        config.Model = model.Digest;

        PruningRun run = await WatchAsync(client, await client.CreatePruningRunAsync(Request("damaged", config), cancellationToken: Ct));

        run.Status.State.ShouldBe(RunState.Failed);
        run.Status.Error.Code.ShouldBe((int)Code.DataLoss);
    }

    public async ValueTask InitializeAsync()
    {
        _store = new ArtifactStore(_data["lab", "artifacts"]);
        LabTokenizer tokenizer = BpeTrainer.Train(_python, 300, Ct);
        _config = new TransformerConfig { NLayers = 1, DModel = 16, NHeads = 2, DHead = 4, DMlp = 32, DVocab = tokenizer.VocabSize, NCtx = 96, ActivationFraction = 0.5 };
        StoredArtifact corpus = await _store.PutAsync("corpus", Provenance(), (folder, _) =>
        {
            using TokenCorpusWriter writer = new(folder, tokenizer);
            for (int i = 0; i < 40; i++) writer.Append(_python[i % 2], isHeldOut: i > 35);
            writer.Complete(info => info);
            return Task.CompletedTask;
        }, Ct);
        await _store.SetNameAsync("corpora/tiny", corpus.Digest, Ct);
        await StoreModelAsync("models/tiny", seed: 1);

        _fake = new FakeModelHost(() => new Transformer(_config, TransformerWeights.Initialize(_config, 1)));
        _modelHost = await PartHost.StartAsync(
            _data["fake"],
            builder =>
            {
                builder.AddLabDefaults("ModelHost");
                builder.Services.AddSingleton(_fake);
            },
            app => app.MapGrpcService<FakeModelHost>());
        _part = await PartHost.StartAsync(
            _data["lab"], builder => builder.AddCircuitAnalysis(), app => app.MapCircuitAnalysis(), ("Lab:Services:ModelHost", _modelHost.Url));
    }

    public async ValueTask DisposeAsync()
    {
        await _part.DisposeAsync();
        await _modelHost.DisposeAsync();
        _data.Dispose();
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static ArtifactProvenance Provenance() => new("tests", new Dictionary<string, string>(), [], 0);

    private static CreatePruningRunRequest Request(string id, PruningConfig config) => new() { RunId = id, Config = config };

    /// <summary>A target above chance, which a random model reaches.</summary>
    private static PruningConfig Config() => new()
    {
        Model = "models/tiny",
        Corpus = "corpora/tiny",
        Task = "single_double_quote",
        OutputName = "circuits/quotes",
        TargetLoss = 0.75,
        Steps = 2,
        NodePenalties = { 1e-4, 1e-3 },
        BatchPairs = 4,
        TrainingPairs = 8,
        HeldOutPairs = 8,
        RandomCircuits = 2,
        MeanTokens = 256,
        Seed = 1,
    };

    private async Task StoreModelAsync(string name, long seed)
    {
        StoredArtifact corpus = await _store.GetAsync("corpora/tiny", Ct);
        StoredArtifact model = await _store.PutAsync("model", Provenance(), (folder, _) =>
        {
            using Transformer gpt = new(_config, TransformerWeights.Initialize(_config, seed));
            TransformerCheckpoint.Save(gpt, folder);
            foreach (string file in new[] { "vocab.json", "merges.txt" }) File.Copy(_store.GetPath(corpus, file), Path.Combine(folder, file));
            return Task.CompletedTask;
        }, Ct);
        await _store.SetNameAsync(name, model.Digest, Ct);
    }

    private async Task<string> ExecuteAsync(string folder)
    {
        PruningRun run = new() { Name = $"pruningRuns/{folder}", Config = Config(), Status = new RunStatus() };
        RunContext<PruningRun> context = new(
            run.Clone(), Directory.CreateDirectory(_data[folder]).FullName, isResumed: false, (change, _) => change(run), TimeProvider.System);
        HostedMeanActivations means = new(new ModelHostService.ModelHostServiceClient(_modelHost.Channel), TimeProvider.System);
        await new PruningExecutor(_store, means, new PruningDevice(TorchSharp.torch.CPU)).ExecuteAsync(context, Ct);
        return run.Circuit;
    }

    private static async Task<PruningRun> WatchAsync(CircuitAnalysisService.CircuitAnalysisServiceClient client, PruningRun run)
    {
        using AsyncServerStreamingCall<PruningRun> call = client.WatchPruningRun(new WatchPruningRunRequest { Name = run.Name }, cancellationToken: Ct);
        await foreach (PruningRun snapshot in call.ResponseStream.ReadAllAsync(Ct)) run = snapshot;
        return run;
    }
}
