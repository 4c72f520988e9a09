using Lab.Gateway.Definitions;
using Lab.Gateway.Experiments;
using Lab.Gateway.Operations;
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
}
