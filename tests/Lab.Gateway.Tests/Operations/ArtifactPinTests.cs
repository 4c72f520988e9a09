using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Protos.SparseTraining.V1;

namespace Lab.Gateway.Tests.Operations;

/// <summary>Names of artifacts become digests wherever a config has them, so that a cached result is of what the names mean now.</summary>
public sealed class ArtifactPinTests
{
    private const string Yaml = """
        name: e
        steps:
          - id: a
            operation: training.train
            with:
              corpus: corpora/c
              interventions:
                - intervention: { selector: { hook: blocks.0.hook_resid_pre }, projectOut: { directions: { stored: { artifact: concepts/basis, key: b } } } }
                - intervention: { selector: { hook: blocks.0.hook_resid_post }, add: { coefficient: 0.5 } }
                  vectors: { artifact: concepts/words, keys: [concepts/words] }
        """;

    [Fact]
    public async Task Run_NameWithinTheConfigIsRepointed_TrainsAnewOnWhatItMeansNow()
    {
        await using FakeTraining service = await FakeTraining.StartAsync();
        await using GatewayApp app = await StartAsync(service);
        string corpus = await app.StoreAsync("corpora/c", "corpus"), basis = await app.StoreAsync("concepts/basis", "basis"), words = await app.StoreAsync("concepts/words", "words");
        ExperimentRun first = await RunAsync();

        string others = await app.StoreAsync("concepts/words", "other words");
        ExperimentRun second = await RunAsync();
        await app.StoreAsync("concepts/words", "words");
        ExperimentRun third = await RunAsync();

        TrainingConfig[] configs = [.. service.Configs];
        configs.Select(config => config.Corpus).ShouldBe([corpus, corpus]);
        configs.Select(config => config.Interventions[0].Intervention.ProjectOut.Directions.Stored.Artifact).ShouldBe([basis, basis]);
        configs.Select(config => config.Interventions[1].Vectors.Artifact).ShouldBe([words, others]);
        configs[0].Interventions[1].Vectors.Keys.ShouldBe(["concepts/words"]);
        configs[0].Interventions[0].Intervention.ProjectOut.Directions.Stored.Key.ShouldBe("b");
        second.Steps[0].InputDigest.ShouldNotBe(first.Steps[0].InputDigest);
        third.Steps[0].InputDigest.ShouldBe(first.Steps[0].InputDigest);
        third.Steps[0].Cached.ShouldBeTrue();

        async Task<ExperimentRun> RunAsync()
        {
            service.Watches.Writer.TryWrite(FakeTraining.Snapshot("trainingRuns/x", RunState.Succeeded)).ShouldBeTrue();
            ExperimentRun run = await app.RunAsync(Yaml);
            run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
            return run;
        }
    }

    [Fact]
    public async Task Run_UnknownNameWithinTheConfig_FailsNamingThePlace()
    {
        await using FakeTraining service = await FakeTraining.StartAsync();
        await using GatewayApp app = await StartAsync(service);
        await app.StoreAsync("corpora/c", "corpus");
        await app.StoreAsync("concepts/basis", "basis");

        ExperimentRun run = await app.RunAsync(Yaml);

        run.Status.Error.Message.ShouldBe("steps[0].with.interventions[1].vectors.artifact: there is no artifact \"concepts/words\"");
        service.Calls.ShouldBeEmpty();
    }

    private static Task<GatewayApp> StartAsync(FakeTraining service) => GatewayApp.StartAsync(settings: [$"Lab:Services:SparseTraining={service.Url}"]);
}
