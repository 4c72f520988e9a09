using System.Text.RegularExpressions;
using Lab.EndToEnd.Tests.Support;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>`lab run` with all parts in its own process.</summary>
public sealed partial class EmbeddedLabTests(Baseline baseline)
{
    private const int Cancelled = 130;

    private static readonly string[] _metrics =
    [
        "dense.held_out_loss", "sparse.held_out_loss", "sparse.l0_fraction", "edge_ratio",
        .. from model in (string[])["dense", "sparse"]
           from metric in (string[])["task_accuracy", "circuit.nodes", "circuit.edges", "circuit.loss", "circuit.loss_without", "circuit.random_loss"]
           select $"{model}.{metric}",
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_ToItsEnd_LeavesAReportWithEveryMetric()
    {
        RunReport report = await baseline.ReportAsync(0);

        report.Json["experiment"]!.GetValue<string>().ShouldBe(TinyExperiment.Name);
        report.Json["run"]!.GetValue<string>().ShouldStartWith("experimentRuns/");
        report.Json["seed"]!.GetValue<long>().ShouldBe(0);
        report.Json["wall_seconds"]!.GetValue<double>().ShouldBePositive();
        report.Json["steps"]!.AsArray().Select(step => step!["id"]!.GetValue<string>())
            .ShouldBe(["corpus", "sparse", "dense", "host[sparse]", "host[dense]", "prune[sparse]", "prune[dense]", "bridge"]);
        report.Artifacts.Select(artifact => artifact.Split(' ')[..2])
            .ShouldBe([["bridge", "bridge"], ["corpus", "corpus"], ["dense", "model"], ["prune[dense]", "circuit"], ["prune[sparse]", "circuit"], ["sparse", "model"]]);
        foreach (string metric in _metrics)
            double.IsFinite(report.Metrics[metric]?.GetValue<double>() ?? double.NaN).ShouldBeTrue(metric);
    }

    [Fact]
    public async Task Run_OnQuotes_FindsCircuitsThatDoTheTaskAndNotTheWholeModel()
    {
        RunReport report = await baseline.ReportAsync(0);

        foreach (string model in (string[])["dense", "sparse"])
        {
            double loss = Metric("circuit.loss");
            loss.ShouldBeLessThanOrEqualTo(0.6, model);
            Metric("circuit.loss_without").ShouldBeGreaterThan(loss, model);
            Metric("circuit.nodes").ShouldBeInRange(1, 351, model);

            double Metric(string name) => report.Metrics[$"{model}.{name}"]!.GetValue<double>();
        }
    }

    [Fact]
    public async Task Run_ToItsEnd_LeavesAPageThatLoadsNothing()
    {
        RunReport report = await baseline.ReportAsync(0);

        string html = await File.ReadAllTextAsync(Path.ChangeExtension(report.Path, ".html"), Ct);
        html.ShouldContain("<svg");
        html.ShouldContain("</html>");
        // Anchors and what is inlined are all that there may be.
        foreach (Match reference in Reference().Matches(html)) reference.Groups[1].Value.ShouldMatch("^(#|data:)");
        html.ShouldNotContain("@import");
        Import().IsMatch(html).ShouldBeFalse();
    }

    [Fact]
    public async Task Run_Twice_TakesStepsFromTheFirstRun()
    {
        RunReport first = await baseline.ReportAsync(0);

        RunReport second = await LabCli.RunAsync(baseline.DataFolder(0), baseline.Corpus, 0, Ct);

        second.Json["run"]!.GetValue<string>().ShouldNotBe(first.Json["run"]!.GetValue<string>());
        second.CachedSteps.ShouldBe(["sparse", "dense", "prune[sparse]", "prune[dense]", "bridge"]);
        second.Artifacts.ShouldBe(first.Artifacts);
        second.Metrics.ToJsonString().ShouldBe(first.Metrics.ToJsonString());
    }

    [Fact]
    public async Task Run_InterruptedAndRunAgain_GoesOnAndGivesTheSame()
    {
        RunReport undisturbed = await baseline.ReportAsync(0);
        using TemporaryFolder data = new();
        await using LabProcess first = LabCli.StartRun(data.Path, baseline.Corpus, 0);
        await first.WaitForLineAsync(line => line.Contains("] dense ", StringComparison.Ordinal) && line.Contains("training", StringComparison.Ordinal), "training of the dense model", Ct);

        await first.InterruptAsync(Ct);

        (await first.WaitForExitAsync(Ct)).ShouldBe(Cancelled, first.Transcript);
        first.Transcript.ShouldContain("is cancelled");
        await using LabProcess second = LabCli.StartRun(data.Path, baseline.Corpus, 0);
        RunReport report = await second.ReportAsync(Ct);
        second.Output[0].ShouldContain("going on with", Case.Sensitive, second.Transcript);
        second.Output.ShouldNotContain(line => line.Contains("] sparse ", StringComparison.Ordinal) && line.Contains("training", StringComparison.Ordinal));
        report.Artifacts.ShouldBe(undisturbed.Artifacts, second.Transcript);
    }

    [GeneratedRegex("""(?:src|href|action|data|poster|srcset)\s*=\s*["']([^"']*)""", RegexOptions.IgnoreCase)]
    private static partial Regex Reference();

    [GeneratedRegex("""url\(\s*["']?(?!data:|#)|<link\b|<script[^>]+src""", RegexOptions.IgnoreCase)]
    private static partial Regex Import();
}
