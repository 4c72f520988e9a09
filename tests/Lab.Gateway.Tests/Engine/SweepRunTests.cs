using System.Text.Json.Nodes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Gateway.Reports;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Lab.Gateway.Tests.Engine;

public sealed class SweepRunTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_InterruptedSweep_GoesOnWithTheCellsThatAreLeft()
    {
        using TemporaryFolder data = new();
        TaskCompletionSource waiting = new();
        FakeOperation train = Train();
        var work = train.Work;
        train.Work = async (context, ct) =>
        {
            if (Number(context.With["ef"]) != 2 || Number(context.With["pfrac"]) != 1) return await work(context, ct);
            waiting.TrySetResult();
            await Task.Delay(Timeout.Infinite, ct);
            return [];
        };
        string name;
        await using (GatewayApp app = await GatewayApp.StartAsync(data.Path, [train]))
        {
            name = (await app.CreateRunAsync(new CreateExperimentRunRequest { Yaml = Yaml("1, 2") })).Name;
            (await Task.WhenAny(waiting.Task, app.EndAsync(name))).ShouldBe(waiting.Task, "the run ended before the cell that waits");
        }

        FakeOperation again = Train();
        await using GatewayApp restarted = await GatewayApp.StartAsync(data.Path, [again]);
        ExperimentRun run = await restarted.EndAsync(name);

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        again.Calls.Select(call => Number(call.With["ef"])).ShouldBe([2.0]);
        run.Status.Metrics["ef2_pfrac1.loss"].ShouldBe(0.5);

        // A larger sweep takes over the cells that are the same.
        ExperimentRun larger = await restarted.RunAsync(Yaml("1, 2, 4"));
        larger.Steps.Select(step => step.Cached).ShouldBe([true, true, true, true, false, false]);
    }

    [Fact]
    public async Task Run_Sweep_IsTableAndChartsInTheReport()
    {
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [Train()], configure: services => services.Replace(ServiceDescriptor.Singleton<IReportBuilder, ReportBuilder>()));

        ExperimentRun run = await app.RunAsync(Yaml("1, 2, 4"));

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        var store = app.Services.GetRequiredService<ArtifactStore>();
        StoredArtifact report = await store.GetAsync(run.Report, Ct);
        JsonNode sweep = JsonNode.Parse(await File.ReadAllTextAsync(store.GetPath(report, "report.json"), Ct))!["sweep"]!;
        sweep["columns"]!.AsArray().Select(column => column!.GetValue<string>()).ShouldBe(["expansion_factor", "nonzero_parameters", "loss"]);
        sweep["rows"]!.AsArray().Select(row => row!["key"]!.GetValue<string>()).ShouldBe(["ef1_pfrac0.5", "ef1_pfrac1", "ef2_pfrac0.5", "ef2_pfrac1", "ef4_pfrac0.5", "ef4_pfrac1"]);
        sweep["rows"]![4]!["values"]!["loss"]!.GetValue<double>().ShouldBe(0.5);
        string html = await File.ReadAllTextAsync(store.GetPath(report, "report.html"), Ct);
        html.ShouldContain("<h2>Sweep</h2>");
        html.ShouldContain("Training loss, nats per token against Nonzero parameters");
        html.Split("circle class=\"point").Length.ShouldBe(7);
        html.ShouldNotContain("NaN");
    }

    [Fact]
    public async Task Run_ColumnOfMeans_LeavesOutEntriesCellsAndColumnsThatAreNotThere()
    {
        FakeOperation train = new("do.train")
        {
            Work = (context, _) => Task.FromResult(new JsonObject
            {
                ["items"] = Number(context.With["n"]) == 1 ? JsonNode.Parse("""[{"accuracy": 0.5}, {"obstacle": "too long"}, {"accuracy": 1}]""") : new JsonArray(),
            }),
        };
        await using GatewayApp app = await GatewayApp.StartAsync(operations: [train], configure: services => services.Replace(ServiceDescriptor.Singleton<IReportBuilder, ReportBuilder>()));

        ExperimentRun run = await app.RunAsync("""
            name: e
            steps: [{ id: train, operation: do.train, for_each: [1, 2], with: { n: "${item}" } }]
            report:
              sweep:
                step: train
                columns:
                  n: ${item}
                  accuracy: { mean: "${steps.train[key].items[*].accuracy}" }
                  nothing: { mean: "${steps.train[key].items[*].nothing}" }
                charts: [{ x: n, y: accuracy, by: [] }, { x: n, y: nothing, by: [] }]
            """);

        run.Status.State.ShouldBe(RunState.Succeeded, run.Status.Error?.Message);
        run.Status.Metrics.Keys.ShouldBe(["1.n", "2.n", "1.accuracy"], ignoreOrder: true);
        run.Status.Metrics["1.accuracy"].ShouldBe(0.75);
        var store = app.Services.GetRequiredService<ArtifactStore>();
        StoredArtifact report = await store.GetAsync(run.Report, Ct);
        string html = await File.ReadAllTextAsync(store.GetPath(report, "report.html"), Ct);
        html.ShouldContain("accuracy against n");
        html.ShouldNotContain("nothing against n");
    }

    private static FakeOperation Train() => new("do.train")
    {
        Work = (context, _) =>
        {
            double factor = Number(context.With["ef"]), share = Number(context.With["pfrac"]);
            return Task.FromResult(new JsonObject { ["value"] = 1000 * share, ["metrics"] = new JsonObject { ["loss"] = 1 / (factor * share) } });
        },
    };

    private static double Number(JsonNode? value) => JsonNumbers.ToDouble(value.ShouldNotBeNull());

    private static string Yaml(string factors) => $$"""
        name: e
        steps:
          - { id: train, operation: do.train, sweep: { ef: [{{factors}}], pfrac: [0.5, 1] }, with: { ef: "${item.ef}", pfrac: "${item.pfrac}" } }
          - { id: prune, operation: do.train, when: false, sweep: { ef: [{{factors}}], pfrac: [0.5, 1] }, with: { ef: 1, pfrac: 1 } }
        report:
          sweep:
            step: train
            columns:
              expansion_factor: ${item.ef}
              nonzero_parameters: ${steps.train[key].value}
              loss: ${steps.train[key].metrics.loss}
              circuit_edges: ${steps.prune[key].value}
            charts:
              - { x: nonzero_parameters, y: loss, by: [expansion_factor] }
              - { x: circuit_edges, y: loss, by: [expansion_factor] }
        """;
}
