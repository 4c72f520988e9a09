using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.EndToEnd.Tests.Support;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.EndToEnd.Tests;

/// <summary>kill -9 in the middle of a run.</summary>
public sealed class KillTests(Baseline baseline)
{
    /// <summary>Every part in turn, each while it works: the step, and how many units of its work are done by then.</summary>
    private static readonly (string Part, string Step, string Phase, long Completed)[] _kills =
    [
        ("SparseTraining", "sparse", "training", 20),
        ("Gateway", "dense", "training", 20),
        ("CircuitAnalysis", "prune[sparse]", "learning masks", 1),
        ("ModelHost", "bridge", "training", 3),
        ("BridgeAlignment", "bridge", "training", 20),
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_EachProcessKilledInTheMiddle_GoesOnAndGivesTheSame()
    {
        RunReport undisturbed = await baseline.ReportAsync(0);
        await using FiveProcesses parts = await FiveProcesses.StartAsync(Ct);
        ExperimentService.ExperimentServiceClient client = new(parts.Channel);
        ExperimentRun run = await client.CreateExperimentRunAsync(
            new CreateExperimentRunRequest { Experiment = TinyExperiment.Name, Parameters = TinyExperiment.Parameters(baseline.Corpus, 0) }, cancellationToken: Ct);

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TestTimes.Patience);
        int killed = 0;
        await foreach (ExperimentRun snapshot in Watch(client, run.Name, limit.Token))
        {
            run = snapshot;
            if (killed == _kills.Length || !IsDue(_kills[killed], run)) continue;
            await parts.KillAndRestartAsync(_kills[killed++].Part);
        }

        run.Status.State.ShouldBe(RunState.Succeeded, $"{run.Status.Error}\n{parts.Transcript}");
        killed.ShouldBe(_kills.Length, parts.Transcript);
        Artifacts(run).ShouldBe(undisturbed.Artifacts.Select(artifact => artifact.Split(' ')[^1]), ignoreOrder: true, customMessage: parts.Transcript);
        foreach (string model in (string[])["sparse", "dense"])
            JsonNode.DeepEquals(Curve(run, model), undisturbed.OutputOf(model, "curve")).ShouldBeTrue(model);
        // Each was taken up again, not begun anew by somebody else.
        run.Status.ResumeCount.ShouldBe(1);
        foreach (string step in (string[])["sparse", "prune[sparse]", "bridge"])
            run.Steps.Single(s => s.Id == step).Status.ResumeCount.ShouldBe(1, step);
    }

    private static IAsyncEnumerable<ExperimentRun> Watch(ExperimentService.ExperimentServiceClient client, string name, CancellationToken cancellationToken) =>
        LabResilience.WatchAsync(ct => client.WatchExperimentRun(new WatchExperimentRunRequest { Name = name }, cancellationToken: ct), cancellationToken);

    private static bool IsDue((string Part, string Step, string Phase, long Completed) kill, ExperimentRun run)
    {
        RunStatus status = run.Steps.Single(step => step.Id == kill.Step).Status;
        return status.State == RunState.Running && status.Progress is { } progress && progress.Phase == kill.Phase && progress.Completed >= kill.Completed;
    }

    private static JsonNode? Curve(ExperimentRun run, string step) =>
        JsonNode.Parse(JsonFormatter.Default.Format(run.Steps.Single(s => s.Id == step).Outputs.Fields["curve"]));

    private static IEnumerable<string> Artifacts(ExperimentRun run) =>
        from step in run.Steps
        from output in step.Outputs.Fields
        where output.Key is "corpus" or "model" or "circuit" or "bridge"
        select output.Value.StringValue;
}
