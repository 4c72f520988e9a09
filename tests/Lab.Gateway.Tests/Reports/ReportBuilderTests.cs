using System.Net;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.Gateway.Reports;
using Lab.Protos.Experiment.V1;
using Microsoft.Extensions.Time.Testing;

namespace Lab.Gateway.Tests.Reports;

public sealed class ReportBuilderTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task BuildAsync_Run_StoresJsonForMachines()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);

        JsonNode report = JsonNode.Parse((await BuildAsync(sample)).Json)!;

        report["experiment"]!.GetValue<string>().ShouldBe("sparse-circuit");
        report["run"]!.GetValue<string>().ShouldBe("experimentRuns/sample");
        report["seed"]!.GetValue<long>().ShouldBe(7);
        report["wall_seconds"]!.GetValue<double>().ShouldBe(300);
        report["parameters"]!["target_loss"]!.GetValue<double>().ShouldBe(0.15);
        report["metrics"]!["dense.circuit.loss_without"]!.GetValue<double>().ShouldBe(0.89);
        report["metrics"]!.AsObject().Select(metric => metric.Key).ShouldBe(sample.Definition.Report.Metrics.Keys);
        report["steps"]!.AsArray().Select(step => step!["id"]!.GetValue<string>())
            .ShouldBe(["corpus", "train[dense]", "prune[dense]", "train[sparse]", "prune[sparse]", "bridge"]);
        JsonNode train = report["steps"]![3]!;
        train["operation"]!.GetValue<string>().ShouldBe("training.train");
        train["seconds"]!.GetValue<double>().ShouldBe(150.5);
        train["outputs"]!["model"]!.GetValue<string>().ShouldBe(sample.Digests["train[sparse]"]);
        report["steps"]![0]!["cached"]!.GetValue<bool>().ShouldBeTrue();
        report["steps"]![0]!["seconds"]!.GetValue<double>().ShouldBe(12.5);
    }

    [Fact]
    public async Task BuildAsync_Run_SaysWhatWasMadeFromWhat()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);

        JsonNode report = JsonNode.Parse((await BuildAsync(sample)).Json)!;

        JsonNode circuit = report["artifacts"]!.AsArray().Single(artifact => artifact!["digest"]!.GetValue<string>() == sample.Digests["prune[sparse]"])!;
        circuit["kind"]!.GetValue<string>().ShouldBe("circuit");
        circuit["step"]!.GetValue<string>().ShouldBe("prune[sparse]");
        circuit["inputs"]!["model"]!.GetValue<string>().ShouldBe(sample.Digests["train[sparse]"]);
        // The model stands in the pruning step's config too, but training made it.
        report["artifacts"]!.AsArray().Single(artifact => artifact!["digest"]!.GetValue<string>() == sample.Digests["train[sparse]"])!["step"]!
            .GetValue<string>().ShouldBe("train[sparse]");
    }

    [Fact]
    public async Task BuildAsync_TrainingThatWasAskedForTasks_ShowsEachTask()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);
        (await BuildAsync(sample)).Html.ShouldNotContain("<h2>Tasks</h2>");
        StepRun step = sample.Run.Steps.Single(step => step.Id == "train[sparse]");
        step.Outputs.MergeFrom(JsonParser.Default.Parse<Struct>("""
            {"task_accuracies": [
                {"task": "single_double_quote", "prompts": 40, "accuracy": 0.975, "mean_log_odds": 2.5},
                {"task": "with_as", "prompts": 0, "obstacle": "too short"}]}
            """));

        string page = WebUtility.HtmlDecode((await BuildAsync(sample)).Html);

        page.ShouldContain("<h2>Tasks</h2>");
        page.ShouldContain("single_double_quote</th><td class=\"n\">97.5\u2009%");
        page.ShouldContain($"with_as</th><td class=\"n\">{Numbers.Missing}");
        page.ShouldContain("mean</th><td class=\"n\">97.5\u2009%");
    }

    [Fact]
    public async Task BuildAsync_MetricThatIsNoNumber_IsNull()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);
        sample.Run.Status.Metrics["edge_ratio"] = double.NaN;

        JsonNode report = JsonNode.Parse((await BuildAsync(sample)).Json)!;

        report["metrics"]!.AsObject().ContainsKey("edge_ratio").ShouldBeTrue();
        report["metrics"]!["edge_ratio"].ShouldBeNull();
    }

    [Fact]
    public async Task BuildAsync_Run_StoresOnePageForPeople()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);

        string html = (await BuildAsync(sample)).Html;

        foreach (string heading in new[] { "Dense against sparse", "Training", "The circuits", "Ablations and controls", "Bridge", "Method", "What was made by what" })
            html.ShouldContain($"<h2>{heading}</h2>");
        html.ShouldContain("blocks.0.hook_resid_mid");
        html.ShouldNotContain("http://");
        html.ShouldNotContain("https://");
        html.ShouldNotContain("<script");
        html.ShouldNotContain("src=");
    }

    [Fact]
    public async Task BuildAsync_TextOfTheRun_IsEncoded()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);

        string html = (await BuildAsync(sample)).Html;

        html.ShouldContain("&lt;script&gt;alert(1)&lt;/script&gt;");
        html.ShouldContain("standard library &lt;b&gt;");
        html.ShouldContain("Sparse &amp; dense circuits");
    }

    [Fact]
    public async Task BuildAsync_Drawings_AreWellFormed()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);

        string html = (await BuildAsync(sample)).Html;

        string[] drawings = [.. html.Split("<svg").Skip(1).Select(rest => "<svg" + rest[..(rest.IndexOf("</svg>", StringComparison.Ordinal) + 6)])];
        drawings.Length.ShouldBeGreaterThan(5);
        foreach (string drawing in drawings) XElement.Parse(drawing).ToString().ShouldNotContain("NaN");
    }

    [Fact]
    public async Task BuildAsync_RunWithoutModels_HasOnlyWhatThereIs()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);
        while (sample.Run.Steps.Count > 1) sample.Run.Steps.RemoveAt(1);
        sample.Run.Status.Metrics.Clear();

        string html = (await BuildAsync(sample)).Html;

        html.ShouldContain("<h2>Method</h2>");
        html.ShouldNotContain("<h2>Training</h2>");
        html.ShouldNotContain("<h2>Bridge</h2>");
    }

    [Fact]
    public async Task BuildAsync_DamagedCircuit_IsDataLossThatNamesTheFile()
    {
        using SampleRun sample = await SampleRun.CreateAsync(nodesPerColumn: 4, Ct);
        StoredArtifact broken = await sample.Store.PutAsync("circuit", new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
            (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "circuit.json"), """{"nodes": 3}""", ct), Ct);
        sample.Run.Steps[2].Outputs.Fields["circuit"].StringValue = broken.Digest;

        InvalidDataException fault = await Should.ThrowAsync<InvalidDataException>(() => BuildAsync(sample));

        fault.Message.ShouldContain("nodes");
    }

    private static async Task<(string Json, string Html)> BuildAsync(SampleRun sample)
    {
        var builder = new ReportBuilder(sample.Store, new FakeTimeProvider(SampleRun.Start.AddMinutes(5)));
        StoredArtifact report = await builder.BuildAsync(sample.Run, sample.Definition, Ct);
        report.Kind.ShouldBe("report");
        return (await File.ReadAllTextAsync(sample.Store.GetPath(report, "report.json"), Ct), await File.ReadAllTextAsync(sample.Store.GetPath(report, "report.html"), Ct));
    }
}
