using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Testing;

namespace Lab.Gateway.Tests.Reports;

/// <summary>A run of an experiment like sparse-circuit, with its artifacts in a store, as the gateway hands it to the report builder.</summary>
internal sealed class SampleRun : IDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 3, 4, 5, 6, 7, TimeSpan.Zero);

    private static readonly JsonSerializerOptions _snakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly TemporaryFolder _folder = new();

    private SampleRun() => Store = new ArtifactStore(_folder.Path);

    public ArtifactStore Store { get; }

    public ExperimentRun Run { get; } = new()
    {
        Name = "experimentRuns/sample",
        Experiment = "sparse-circuit",
        Yaml = "name: sparse-circuit\ndescription: <script>alert(1)</script>\n",
        Parameters = JsonParser.Default.Parse<Struct>("""{"seed": 7, "target_loss": 0.15, "corpus": "standard library <b>"}"""),
        Status = new RunStatus { State = RunState.Running, StartTime = Start.ToTimestamp() },
    };

    public Dictionary<string, string> Digests { get; } = [];

    public ExperimentDefinition Definition => new(
        "sparse-circuit",
        "Trains a dense and a weight-sparse transformer of about the same held-out loss on Python source, finds the circuit of each that closes strings with the right quote, and compares their sizes.",
        [], [],
        new ReportDefinition("Sparse & dense circuits", Run.Status.Metrics.Keys.ToDictionary(name => name, _ => (JsonNode?)null)),
        Run.Yaml);

    /// <param name="nodesPerColumn">Nodes at each place of the sparse model's circuit; the dense one's has four times as many.</param>
    public static async Task<SampleRun> CreateAsync(int nodesPerColumn, CancellationToken cancellationToken)
    {
        var sample = new SampleRun();
        string corpus = await sample.AddAsync("corpus", "corpus", "corpus.make", [], """{"metrics":{"files":812},"corpus":"DIGEST","config":{"seed":7}}""", "corpus.json", "{}", cancellationToken);
        foreach ((string label, int factor) in new[] { ("dense", 4), ("sparse", 1) })
        {
            string model = await sample.AddAsync($"train[{label}]", "model", "training.train", new() { ["corpus"] = corpus },
                $$"""{"model":"DIGEST","curve":{{Curve(label)}},"seconds":{{150 / factor}}.5}""", "config.json", $$"""{"label":"{{label}}"}""", cancellationToken);
            CircuitFile circuit = CircuitFile.Create(layers: 2, nodesPerColumn * factor, seed: factor);
            await sample.AddAsync($"prune[{label}]", "circuit", "circuits.prune", new() { ["model"] = model, ["corpus"] = corpus },
                """{"circuit":"DIGEST","config":{"model":"MODEL"},"seconds":41.25}""".Replace("MODEL", model, StringComparison.Ordinal),
                "circuit.json", JsonSerializer.Serialize(circuit, _snakeCase), cancellationToken);
            sample.AddMetrics(label, circuit);
        }

        sample.Run.Status.Metrics["edge_ratio"] = sample.Run.Status.Metrics["dense.circuit.edges"] / sample.Run.Status.Metrics["sparse.circuit.edges"];
        await sample.AddAsync("bridge", "bridge", "bridges.align", new() { ["dense"] = sample.Digests["train[dense]"], ["sparse"] = sample.Digests["train[sparse]"] },
            """{"bridge":"DIGEST","sites":[{"hook":"blocks.0.hook_resid_pre","encoder_nmse":0.12,"decoder_nmse":0.08,"kl_dense_to_sparse":0.41,"kl_sparse_to_dense":0.33},{"hook":"blocks.0.hook_resid_mid","encoder_nmse":0.31,"decoder_nmse":0.2,"kl_dense_to_sparse":0.62,"kl_sparse_to_dense":0.5}]}""",
            "bridge.json", "{}", cancellationToken);
        return sample;
    }

    public void Dispose() => _folder.Dispose();

    private void AddMetrics(string label, CircuitFile circuit)
    {
        bool isDense = label == "dense";
        Run.Status.Metrics[$"{label}.held_out_loss"] = isDense ? 2.1034 : 2.1189;
        Run.Status.Metrics[$"{label}.task_accuracy"] = isDense ? 0.988 : 0.969;
        Run.Status.Metrics[$"{label}.circuit.nodes"] = circuit.Nodes.Count;
        Run.Status.Metrics[$"{label}.circuit.edges"] = circuit.EdgesTotal;
        Run.Status.Metrics[$"{label}.circuit.loss"] = 0.149;
        Run.Status.Metrics[$"{label}.circuit.loss_without"] = isDense ? 0.89 : 1.73;
        Run.Status.Metrics[$"{label}.circuit.random_loss"] = isDense ? 0.71 : 0.88;
        if (!isDense) Run.Status.Metrics["sparse.l0_fraction"] = 0.0421;
    }

    private async Task<string> AddAsync(
        string step, string kind, string operation, Dictionary<string, string> inputs, string outputs, string file, string content, CancellationToken cancellationToken)
    {
        StoredArtifact artifact = await Store.PutAsync(
            kind, new ArtifactProvenance($"Part/runs/{step}", inputs, new JsonObject { ["seed"] = 7 }, 7),
            (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, file), content, ct), cancellationToken);
        Digests[step] = artifact.Digest;
        Run.Steps.Add(new StepRun
        {
            Id = step,
            Operation = operation,
            Run = $"runs/step-{Run.Steps.Count}",
            Cached = step == "corpus",
            Status = new RunStatus { State = RunState.Succeeded, StartTime = Start.ToTimestamp(), EndTime = Start.AddSeconds(12.5).ToTimestamp() },
            Outputs = JsonParser.Default.Parse<Struct>(outputs.Replace("DIGEST", artifact.Digest, StringComparison.Ordinal)),
        });
        return artifact.Digest;
    }

    private static string Curve(string label)
    {
        var random = new Random(3);
        double floor = label == "dense" ? 2.05 : 2.07;
        return "[" + string.Join(",", Enumerable.Range(1, 120).Select(i => string.Create(null, stackalloc char[256],
            $$"""{"step":{{i * 10}},"loss":{{floor + (4.6 * Math.Exp(-i / 14.0)) + (0.12 * (random.NextDouble() - 0.5))}},"l0_fraction":{{(label == "dense" ? 1 : Math.Max(0.042, Math.Exp(-i / 18.0)))}}{{(i % 10 == 0 ? $",\"held_out_loss\":{floor + (4.6 * Math.Exp(-i / 14.0)) + 0.03}" : "")}}}"""))) + "]";
    }
}
