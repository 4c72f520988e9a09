namespace Lab.EndToEnd.Tests.Support;

/// <summary>`lab` on the tiny experiment.</summary>
internal static class LabCli
{
    /// <summary>Starts `lab run`.</summary>
    public static LabProcess StartRun(string data, string corpus, int seed, params IEnumerable<string> more) =>
        LabProcess.Start("lab", [.. TinyExperiment.Arguments(corpus, seed), "--data", data, .. more]);

    /// <summary>Waits until `lab run` has ended well.</summary>
    public static async Task<RunReport> ReportAsync(this LabProcess process, CancellationToken cancellationToken)
    {
        int code = await process.WaitForExitAsync(cancellationToken);
        code.ShouldBe(0, process.Transcript);
        string path = process.Output[^1];
        File.Exists(path).ShouldBeTrue(process.Transcript);
        Path.GetFileName(path).ShouldBe("report.json");
        return new RunReport(path);
    }

    /// <summary>`lab run` from beginning to end.</summary>
    public static async Task<RunReport> RunAsync(string data, string corpus, int seed, CancellationToken cancellationToken, params IEnumerable<string> more)
    {
        await using LabProcess process = StartRun(data, corpus, seed, more);
        return await process.ReportAsync(cancellationToken);
    }
}
