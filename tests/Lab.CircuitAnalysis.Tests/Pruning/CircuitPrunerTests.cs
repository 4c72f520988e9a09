using Lab.CircuitAnalysis.Pruning;
using Lab.CircuitAnalysis.Reports;
using Lab.Models;
using Lab.Testing;
using TorchSharp;

namespace Lab.CircuitAnalysis.Tests.Pruning;

public sealed class CircuitPrunerTests : IDisposable
{
    private static readonly PruningSettings _settings = new() { Steps = 60, BatchPairs = 16, NodePenalties = [1e-3, 1e-2], RandomCircuits = 5, Seed = 3 };

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Run_PlantedCircuit_FindsItAndDropsTheDecoys()
    {
        Circuit circuit = Prune("planted", _settings);

        circuit.Nodes.Select(node => node.Id).ShouldBe(PlantedModel.Circuit);
        circuit.Edges.Count.ShouldBe(3);
        CircuitMeasurement measured = circuit.Measurement;
        measured.Nodes.ShouldBe(5);
        measured.Edges.ShouldBe(3);
        measured.TargetReached.ShouldBeTrue();
        measured.TaskAccuracy.ShouldBe(1);
        measured.CircuitAccuracy.ShouldBe(1);
        measured.Loss.ShouldBeLessThanOrEqualTo(0.15);
        measured.TestLoss.ShouldBeLessThan(0.2);
        measured.LossWithout.ShouldBeGreaterThan(0.5);
        measured.RandomLoss.ShouldBeGreaterThan(0.4);
        circuit.Nodes.ShouldAllBe(node => node.Importance > 0.01);
    }

    [Fact]
    public void Run_TargetOutOfReach_GivesTheWholeModel()
    {
        Circuit circuit = Prune("whole", _settings with { TargetLoss = 1e-9, Steps = 5 });

        circuit.Measurement.TargetReached.ShouldBeFalse();
        circuit.Measurement.Nodes.ShouldBe(circuit.Measurement.TotalNodes);
        circuit.Measurement.Edges.ShouldBe(circuit.Measurement.TotalEdges);
        circuit.Measurement.Loss.ShouldBe(circuit.Measurement.TaskLoss);
    }

    [Fact]
    public void Run_AfterAnInterruption_GivesTheSameBytes()
    {
        byte[] uninterrupted = Json(Prune("uninterrupted", _settings));

        // Cut off in the middle of the second search: the first is on disk.
        using CancellationTokenSource source = new();
        Should.Throw<OperationCanceledException>(() => Prune("interrupted", _settings, new Progress(step => { if (step == 90) source.Cancel(); }), source.Token));
        Directory.GetFiles(_folder["interrupted"]).Select(Path.GetFileName).ShouldBe(["search-0.json"]);
        List<long> steps = [];
        byte[] resumed = Json(Prune("interrupted", _settings, new Progress(steps.Add), TestContext.Current.CancellationToken));

        resumed.ShouldBe(uninterrupted);
        steps.ShouldNotContain(30);
        steps.ShouldContain(90);
    }

    [Fact]
    public void Run_WithoutCleanUp_KeepsWhatTheBisectionFound()
    {
        Circuit plain = Prune("plain", _settings with { CleanUp = false });
        Circuit clean = Prune("plain", _settings);

        plain.Measurement.Loss.ShouldBeLessThanOrEqualTo(0.15);
        plain.Measurement.Nodes.ShouldBeGreaterThanOrEqualTo(clean.Measurement.Nodes);
    }

    [Fact]
    public void Run_Ended_LeavesNoTensor()
    {
        Prune("warm", _settings with { Steps = 2 });
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Prune("measured", _settings with { Steps = 2 });

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }

    [Fact]
    public void Find_DamagedFile_NamesIt()
    {
        SearchFolder searches = new(_folder.Path);
        searches.Save(0, [0.1f, 1f / 3]).ShouldBe(searches.Find(0, 2));
        searches.Find(1, 2).ShouldBeNull();
        Should.Throw<InvalidDataException>(() => searches.Find(0, 3)).Message.ShouldContain("search-0.json");
        File.WriteAllText(_folder["search-0.json"], "[0.1,");
        Should.Throw<InvalidDataException>(() => searches.Find(0, 2)).Message.ShouldContain("search-0.json");
    }

    public void Dispose() => _folder.Dispose();

    private Circuit Prune(string run, PruningSettings settings) => Prune(run, settings, new Progress(_ => { }), TestContext.Current.CancellationToken);

    private Circuit Prune(string run, PruningSettings settings, Progress progress, CancellationToken ct)
    {
        using Transformer model = PlantedModel.Create();
        CircuitPruner pruner = new(
            model, PlantedModel.Means(model), PlantedModel.Prompts(), settings, new SearchFolder(_folder[run]), progress);
        return pruner.Run(ct);
    }

    private static byte[] Json(Circuit circuit)
    {
        using MemoryStream stream = new();
        CircuitJson.Write(stream, new CircuitHeader("single_double_quote", "models/planted", "corpora/planted", 0.15, 3), circuit);
        return stream.ToArray();
    }

    private sealed class Progress(Action<long> learning) : IPruningProgress
    {
        public void Report(string phase, long completed, long total, string unit)
        {
            if (phase == "learning masks") learning(completed);
        }

        public void Metric(string name, double value)
        {
        }
    }
}
