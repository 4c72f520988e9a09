using System.Text.Json.Nodes;
using Lab.Artifacts;
using Lab.BridgeAlignment.Runs;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Runs;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.BridgeAlignment.Tests.Runs;

public sealed class AlignmentExecutorTests : IAsyncLifetime
{
    private TinyLab _lab = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _lab = await TinyLab.CreateAsync();

    public ValueTask DisposeAsync()
    {
        _lab.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Execute_Defaults_StoresBridgeWithEvaluationAndName()
    {
        AlignmentRun run = await ExecuteAsync(TinyLab.Config, "a");

        StoredArtifact bridge = await _lab.Store.GetAsync("bridges/tiny", Ct);
        bridge.Digest.ShouldBe(run.Bridge);
        bridge.Kind.ShouldBe("bridge");
        bridge.Provenance.Inputs["dense_model"].ShouldBe(_lab.DenseDigest);
        bridge.Provenance.Inputs["sparse_model"].ShouldBe(_lab.SparseDigest);
        bridge.Provenance.Seed.ShouldBe(11);
        bridge.Provenance.Config["sequenceLength"]!.GetValue<int>().ShouldBe(16);

        run.Sites.Select(site => site.Hook).ShouldBe(
            ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_mid", "blocks.1.hook_resid_pre", "blocks.1.hook_resid_mid", "blocks.1.hook_resid_post"]);
        run.Sites.ShouldAllBe(site => site.EncoderNmse < 1.5 && site.DecoderNmse < 1.5 && site.MeanKlDenseToSparse > 0 && site.MeanKlSparseToDense > 0);
        run.Status.Metrics["step"].ShouldBe(60);
        run.Status.Metrics["encoder_nmse"].ShouldBe(run.Sites.Average(site => site.EncoderNmse), 1e-12);
        run.Status.Metrics["kl_models"].ShouldBeGreaterThan(0);

        using SafetensorsFile file = SafetensorsFile.Open(_lab.Store.GetPath(bridge, "bridge.safetensors"));
        file.Entries["encoder.blocks.1.hook_resid_mid.weight"].Shape.ShouldBe([24, 16]);
        file.Entries["decoder.blocks.1.hook_resid_post.bias"].Shape.ShouldBe([16]);
        JsonNode json = JsonNode.Parse(await File.ReadAllTextAsync(_lab.Store.GetPath(bridge, "bridge.json"), Ct))!;
        json["shape"]!["kept"]!.GetValue<int>().ShouldBe(6);
        json["evaluation"]!["sites"]![4]!["encoder_nmse"]!.GetValue<double>().ShouldBe(run.Sites[4].EncoderNmse);
    }

    [Fact]
    public async Task Execute_EqualRuns_GiveEqualBytesAndOtherSeedsOthers()
    {
        AlignmentConfig other = TinyLab.Config;
        other.Seed = 12;

        string first = (await ExecuteAsync(TinyLab.Config, "a")).Bridge;

        (await ExecuteAsync(TinyLab.Config, "b")).Bridge.ShouldBe(first);
        (await ExecuteAsync(other, "c")).Bridge.ShouldNotBe(first);
    }

    [Theory]
    [InlineData(10)] // before the first checkpoint
    [InlineData(110)] // after the one of step 50
    [InlineData(121)] // after the training, in the evaluation
    public async Task Execute_ResumedAfterFailure_EqualsUninterrupted(int reads)
    {
        string expected = (await ExecuteAsync(TinyLab.Config, "whole")).Bridge;

        using (ModelSource failing = _lab.Source)
        {
            failing.FailAfter(reads);
            await Should.ThrowAsync<IOException>(() => ExecuteAsync(TinyLab.Config, "broken", failing));
        }

        (await ExecuteAsync(TinyLab.Config, "broken")).Bridge.ShouldBe(expected);
    }

    [Fact]
    public async Task Execute_NameMovesBeforeResume_GoesOnWithTheFirstModels()
    {
        string expected = (await ExecuteAsync(TinyLab.Config, "whole")).Bridge;
        using (ModelSource failing = _lab.Source)
        {
            failing.FailAfter(110);
            await Should.ThrowAsync<IOException>(() => ExecuteAsync(TinyLab.Config, "broken", failing));
        }

        await _lab.Store.SetNameAsync("models/dense", _lab.SparseDigest, Ct);

        (await ExecuteAsync(TinyLab.Config, "broken")).Bridge.ShouldBe(expected);
    }

    [Fact]
    public async Task Execute_DamagedCheckpoint_FailsNamingTheFile()
    {
        string file = Path.Combine(Directory.CreateDirectory(Path.Combine(_lab.Data, "damaged")).FullName, "checkpoint.safetensors");
        await File.WriteAllTextAsync(file, "not a checkpoint", Ct);

        (await Should.ThrowAsync<InvalidDataException>(() => ExecuteAsync(TinyLab.Config, "damaged"))).Message.ShouldContain(file);
    }

    [Fact]
    public async Task Execute_RunIsDoneAlready_DoesNothing()
    {
        AlignmentRun done = await ExecuteAsync(TinyLab.Config, "a");
        using ModelSource source = _lab.Source;

        await new AlignmentExecutor(_lab.Store, source, Options.Create(new LabOptions { Device = "cpu", Threads = 1 })).ExecuteAsync(Context(done, "a"), Ct);

        source.Prepared.ShouldBeEmpty();
    }

    private async Task<AlignmentRun> ExecuteAsync(AlignmentConfig config, string folder)
    {
        using ModelSource source = _lab.Source;
        return await ExecuteAsync(config, folder, source);
    }

    private async Task<AlignmentRun> ExecuteAsync(AlignmentConfig config, string folder, ModelSource source)
    {
        AlignmentRun run = new() { Name = $"alignmentRuns/{folder}", Config = config, Status = new RunStatus() };
        await new AlignmentExecutor(_lab.Store, source, Options.Create(new LabOptions { Device = "cpu", Threads = 1 })).ExecuteAsync(Context(run, folder), Ct);
        return run;
    }

    private RunContext<AlignmentRun> Context(AlignmentRun run, string folder) =>
        new(run.Clone(), Directory.CreateDirectory(Path.Combine(_lab.Data, folder)).FullName, isResumed: false, (change, _) => change(run), TimeProvider.System);
}
