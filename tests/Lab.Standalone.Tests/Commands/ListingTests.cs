using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Run.V1;

namespace Lab.Standalone.Tests.Commands;

public sealed class ListingTests : IAsyncLifetime
{
    private readonly CommandLine _lab = new();
    private FakeGateway _gateway = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _gateway = await FakeGateway.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        _lab.Dispose();
    }

    [Fact]
    public async Task Experiments_ListsThem()
    {
        (await InvokeAsync("experiments")).ShouldBe(ExitCode.Ok);

        _lab.Lines.ShouldContain(line => line.Contains("demo") && line.Contains("Shows it."));
    }

    [Fact]
    public async Task Experiments_OfOne_ShowsParametersAndDefinition()
    {
        (await InvokeAsync("experiments", "demo")).ShouldBe(ExitCode.Ok);

        _lab.Lines.ShouldContain(line => line.Contains("rate") && line.Contains("0.5"));
        _lab.Lines.ShouldContain("name: demo");
    }

    [Fact]
    public async Task Runs_ListsAllPages()
    {
        _gateway.Add("first", RunState.Succeeded, new Struct());
        _gateway.Add("second", RunState.Running, new Struct());

        (await InvokeAsync("runs")).ShouldBe(ExitCode.Ok);

        _lab.Lines.ShouldContain(line => line.Contains("first") && line.Contains("succeeded"));
        _lab.Lines.ShouldContain(line => line.Contains("second") && line.Contains("running"));
    }

    [Fact]
    public async Task Runs_OfOne_ShowsItsSteps()
    {
        _gateway.Add("first", RunState.Succeeded, new Struct { Fields = { ["seed"] = Value.ForNumber(3) } });

        (await InvokeAsync("runs", "first")).ShouldBe(ExitCode.Ok);

        _lab.Lines.ShouldContain(line => line.Contains("seed = 3"));
        _lab.Lines.ShouldContain(line => line.Contains("train[sparse]") && line.Contains("training.train") && line.Contains("queued"));
    }

    [Fact]
    public async Task Runs_OfNone_SaysSo()
    {
        (await InvokeAsync("runs", "none")).ShouldBe(ExitCode.Failed);

        _lab.Error.ToString().ShouldContain("experimentRuns/none");
    }

    [Fact]
    public async Task Artifacts_OfAKind_ListsThem()
    {
        (await InvokeAsync("artifacts", "--kind", "circuit")).ShouldBe(ExitCode.Ok);

        _lab.Lines.ShouldContain(line => line.Contains("000000000000") && line.Contains("circuit") && line.Contains("reports/demo"));
    }

    [Fact]
    public async Task Report_OfARun_EndsWithItsPath()
    {
        _gateway.Add("first", RunState.Succeeded, new Struct()).Report = FakeGateway.ReportDigest;

        (await InvokeAsync("report", "first")).ShouldBe(ExitCode.Ok);

        _lab.Lines[^1].ShouldBe(Path.Combine(_lab.Data, "reports", "first", "report.json"));
    }

    [Fact]
    public async Task Report_OfARunWithoutOne_SaysSo()
    {
        _gateway.Add("first", RunState.Running, new Struct());

        (await InvokeAsync("report", "first")).ShouldBe(ExitCode.Failed);

        _lab.Error.ToString().ShouldContain("no report yet");
    }

    [Theory]
    [InlineData("run")]
    [InlineData("nonsense")]
    [InlineData("runs", "--gateway", "nonsense")]
    public async Task Invoke_BadCommandLine_IsAUsageError(params string[] args)
    {
        (await _lab.InvokeAsync(Ct, args)).ShouldBe(ExitCode.Usage);

        _lab.Error.ToString().ShouldNotBeEmpty();
    }

    private Task<int> InvokeAsync(params string[] args) => _lab.InvokeAsync(Ct, [.. args, "--gateway", _gateway.Url, "--data", _lab.Data]);
}
