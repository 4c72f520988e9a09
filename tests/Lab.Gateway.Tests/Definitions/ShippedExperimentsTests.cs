using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Experiments;
using Lab.Gateway.Operations;
using Lab.Protos.SparseTraining.V1;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Lab.Gateway.Tests.Definitions;

public sealed class ShippedExperimentsTests
{
    [Fact]
    public async Task Plan_EveryShippedExperiment_IsWithoutFault()
    {
        await using GatewayApp app = GatewayApp.Create();
        ExperimentCatalog catalog = new(Options.Create(new GatewayOptions()));
        ExperimentPlanner planner = new(app.Services.GetRequiredService<OperationRegistry>());

        catalog.List().Select(e => e.Name).ShouldContain("sparse-circuit");
        foreach (Protos.Experiment.V1.Experiment experiment in catalog.List())
            planner.Plan(experiment.Yaml, null).Steps.ShouldNotBeEmpty(experiment.Name);
    }

    [Fact]
    public async Task Plan_SparseCircuit_GivesEveryMetricOfTheReport()
    {
        await using GatewayApp app = GatewayApp.Create();
        ExperimentCatalog catalog = new(Options.Create(new GatewayOptions()));
        ExperimentPlan plan = new ExperimentPlanner(app.Services.GetRequiredService<OperationRegistry>()).Plan(catalog.Get("sparse-circuit").Yaml, null);

        string[] perModel = ["task_accuracy", "circuit.nodes", "circuit.edges", "circuit.loss", "circuit.loss_without", "circuit.random_loss"];
        string[] metrics = [.. perModel.SelectMany(m => new[] { $"dense.{m}", $"sparse.{m}" }), "dense.held_out_loss", "sparse.held_out_loss", "sparse.l0_fraction", "edge_ratio"];
        metrics.ShouldBeSubsetOf(plan.Definition.Report.Metrics.Keys);
        plan.Steps.Select(s => s.Id).ShouldBe(["corpus", "sparse", "dense", "host[sparse]", "host[dense]", "prune[sparse]", "prune[dense]", "bridge"]);
    }

    [Fact]
    public async Task Plan_Frontier_ShowsTheMeanOfTheTasksThatCouldBeAsked()
    {
        await using GatewayApp app = GatewayApp.Create();
        ExperimentCatalog catalog = new(Options.Create(new GatewayOptions()));
        ExperimentPlan plan = new ExperimentPlanner(app.Services.GetRequiredService<OperationRegistry>()).Plan(catalog.Get("frontier").Yaml, Struct.Parser.ParseJson("""{"task_pairs": 4}"""));
        PlannedStep cell = plan.StepsOf("train").First();
        SweepDefinition sweep = plan.Definition.Report.Sweep.ShouldNotBeNull();
        TrainingRun asked = new()
        {
            TaskAccuracies = { new TaskAccuracy { Task = "a", Accuracy = 0.5 }, new TaskAccuracy { Task = "b", Obstacle = "too long" }, new TaskAccuracy { Task = "c", Accuracy = 1 } },
        };

        JsonNumbers.ToDouble(plan.ResolveInputs(cell, _ => null)["task_pairs"]!).ShouldBe(4);
        MetricExpression.Evaluate(Column(asked)).ShouldBe(0.75);
        MetricExpression.IsEmpty(Column(new TrainingRun())).ShouldBeTrue();
        sweep.Charts.ShouldContain(chart => chart.Y == "mean_task_accuracy");

        System.Text.Json.Nodes.JsonNode? Column(TrainingRun run) => plan.ResolveColumn(cell, sweep.Columns["mean_task_accuracy"], _ => ProtoJson.ToJson(run));
    }
}
