using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;

namespace Lab.Standalone.Tests.Commands;

public sealed class RunCommandTests : IAsyncLifetime
{
    private const string Defaults = """{"seed": 0, "rate": 0.5, "label": "a", "deep": false}""";

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
    public async Task Run_ThatSucceeds_EndsWithThePathOfItsReport()
    {
        int code = await RunAsync();

        code.ShouldBe(ExitCode.Ok);
        string path = Path.Combine(_lab.Data, "reports", "new", "report.json");
        _lab.Lines[^1].ShouldBe(path);
        (await File.ReadAllTextAsync(path, Ct)).ShouldContain("\"edge_ratio\":15");
        File.Exists(Path.Combine(_lab.Data, "reports", "new", "report.html")).ShouldBeTrue();
        _lab.Error.ToString().ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_WhileAnotherIsWorkedOn_SaysSo()
    {
        _gateway.Add("left-over", RunState.Running, JsonParser.Default.Parse<Struct>("""{"seed": 7}"""));
        _gateway.Add("ended", RunState.Failed, JsonParser.Default.Parse<Struct>("""{"seed": 8}"""));

        await RunAsync();

        _lab.Lines.ShouldContain(line => line.Contains("experimentRuns/left-over") && line.Contains("lab cancel"));
        _lab.Lines.ShouldNotContain(line => line.Contains("experimentRuns/ended"));
    }

    [Fact]
    public async Task Cancel_ARunAtWork_CancelsIt()
    {
        _gateway.Add("left-over", RunState.Running, JsonParser.Default.Parse<Struct>(Defaults));

        int code = await _lab.InvokeAsync(Ct, "cancel", "left-over", "--gateway", _gateway.Url, "--data", _lab.Data);

        code.ShouldBe(ExitCode.Ok);
        _gateway.Calls[^1].ShouldBe(new CancelExperimentRunRequest { Name = "experimentRuns/left-over" });
    }

    [Fact]
    public async Task Run_WithoutTerminal_PrintsProgressLineByLine()
    {
        await RunAsync();

        _lab.Lines.ShouldContain(line => line.Contains("train[sparse]") && line.Contains("training 30 %") && line.Contains("held-out 2.250") && line.Contains("eta 1:05"));
        _lab.Lines.ShouldContain(line => line.Contains("train[sparse]") && line.Contains("done in"));
        _lab.Output.ToString().ShouldNotContain("\u001b");
    }

    [Fact]
    public async Task Run_ThatSucceeds_PrintsItsNumbersSideBySide()
    {
        await RunAsync();

        _lab.Lines.ShouldContain(line => line.Contains("dense") && line.Contains("sparse"));
        _lab.Lines.ShouldContain(line => line.Contains("Circuit edges") && line.Contains("1\u2009200") && line.Contains("80"));
        _lab.Lines.ShouldContain(line => line.Contains("15.0\u00d7"));
    }

    [Fact]
    public async Task Run_WithSet_SendsTypedValues()
    {
        int code = await RunAsync("--set", "seed=7", "--set", "rate=1e-2", "--set", "label=x=y", "--set", "deep=true");

        code.ShouldBe(ExitCode.Ok);
        CreateExperimentRunRequest request = _gateway.Calls.ShouldHaveSingleItem().ShouldBeOfType<CreateExperimentRunRequest>();
        request.Experiment.ShouldBe("demo");
        request.Parameters.ShouldBe(JsonParser.Default.Parse<Struct>("""{"seed": 7, "rate": 0.01, "label": "x=y", "deep": true}"""));
        request.IgnoreCache.ShouldBeFalse();
    }

    [Theory]
    [InlineData("sede=7", "seed")]
    [InlineData("seed", "name=value")]
    [InlineData("seed=7.5", "whole number")]
    [InlineData("rate=fast", "number")]
    [InlineData("rate=NaN", "number")]
    [InlineData("deep=1", "true or false")]
    public async Task Run_WithBadSet_IsAUsageErrorThatHelps(string assignment, string hint)
    {
        int code = await RunAsync("--set", assignment);

        code.ShouldBe(ExitCode.Usage);
        _lab.Error.ToString().ShouldContain(hint);
        _gateway.Calls.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_UnknownExperiment_ListsTheKnown()
    {
        int code = await _lab.InvokeAsync(Ct, "run", "dome", "--gateway", _gateway.Url, "--data", _lab.Data);

        code.ShouldBe(ExitCode.Usage);
        _lab.Error.ToString().ShouldContain("demo");
    }

    [Theory]
    [InlineData(RunState.Cancelled)]
    [InlineData(RunState.Failed)]
    public async Task Run_AfterOneThatDidNotSucceed_ResumesIt(RunState state)
    {
        _gateway.Add("other", RunState.Cancelled, JsonParser.Default.Parse<Struct>("""{"seed": 1, "rate": 0.5, "label": "a", "deep": false}"""));
        _gateway.Add("mine", state, JsonParser.Default.Parse<Struct>(Defaults));
        _gateway.Add("newer-other", RunState.Cancelled, JsonParser.Default.Parse<Struct>("""{"seed": 2, "rate": 0.5, "label": "a", "deep": false}"""));

        int code = await RunAsync();

        code.ShouldBe(ExitCode.Ok);
        _gateway.Calls.ShouldHaveSingleItem().ShouldBe(new ResumeExperimentRunRequest { Name = "experimentRuns/mine" });
        _lab.Lines[^1].ShouldContain("mine");
    }

    [Fact]
    public async Task Run_WhileItGoesOn_JustWatches()
    {
        _gateway.Add("mine", RunState.Running, JsonParser.Default.Parse<Struct>(Defaults));

        (await RunAsync()).ShouldBe(ExitCode.Ok);

        _gateway.Calls.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_AfterOneThatSucceeded_BeginsAnew()
    {
        _gateway.Add("older", RunState.Failed, JsonParser.Default.Parse<Struct>(Defaults));
        _gateway.Add("mine", RunState.Succeeded, JsonParser.Default.Parse<Struct>(Defaults));

        (await RunAsync()).ShouldBe(ExitCode.Ok);

        _gateway.Calls.ShouldHaveSingleItem().ShouldBeOfType<CreateExperimentRunRequest>();
    }

    [Fact]
    public async Task Run_AfterTheDefinitionChanged_BeginsAnew()
    {
        _gateway.Add("mine", RunState.Cancelled, JsonParser.Default.Parse<Struct>(Defaults)).Yaml = "name: demo # as it was\n";

        (await RunAsync()).ShouldBe(ExitCode.Ok);

        _gateway.Calls.ShouldHaveSingleItem().ShouldBeOfType<CreateExperimentRunRequest>();
    }

    [Fact]
    public async Task Run_Fresh_BeginsAnewAndIgnoresTheCache()
    {
        _gateway.Add("mine", RunState.Cancelled, JsonParser.Default.Parse<Struct>(Defaults));

        (await RunAsync("--fresh", "--run-id", "again")).ShouldBe(ExitCode.Ok);

        CreateExperimentRunRequest request = _gateway.Calls.ShouldHaveSingleItem().ShouldBeOfType<CreateExperimentRunRequest>();
        request.IgnoreCache.ShouldBeTrue();
        request.RunId.ShouldBe("again");
    }

    [Fact]
    public async Task Run_ThatFails_SaysWhy()
    {
        _gateway.Watch = (run, _) =>
        {
            run.Status.State = RunState.Failed;
            run.Status.Error = new Google.Rpc.Status { Message = "A step failed." };
            run.Steps[0].Status = new RunStatus { State = RunState.Failed, Error = new Google.Rpc.Status { Message = "The corpus is empty." } };
            return new[] { run }.ToAsyncEnumerable();
        };

        (await RunAsync()).ShouldBe(ExitCode.Failed);

        _lab.Error.ToString().ShouldContain("train[sparse] failed: The corpus is empty.");
        _lab.Output.ToString().ShouldNotContain("report.json");
    }

    [Fact]
    public async Task Run_Interrupted_CancelsTheRunAndExits130()
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        _gateway.Watch = (run, cancellationToken) => UntilCancelled(run, interrupt, cancellationToken);

        int code = await _lab.InvokeAsync(interrupt.Token, "run", "demo", "--gateway", _gateway.Url, "--data", _lab.Data);

        code.ShouldBe(ExitCode.Cancelled);
        _gateway.Calls[^1].ShouldBe(new CancelExperimentRunRequest { Name = "experimentRuns/new" });
        _lab.Error.ToString().ShouldContain("goes on where it stopped");
    }

    [Fact]
    public async Task Run_OfAFile_SendsItsDefinition()
    {
        Directory.CreateDirectory(_lab.Data);
        string path = Path.Combine(_lab.Data, "mine.yaml");
        const string Yaml = "name: mine\nparameters:\n  size: {type: int, default: 3}\nsteps:\n- {id: a, operation: corpus.make}\n";
        await File.WriteAllTextAsync(path, Yaml, Ct);

        int code = await _lab.InvokeAsync(Ct, "run", path, "--set", "size=4", "--gateway", _gateway.Url, "--data", _lab.Data);

        code.ShouldBe(ExitCode.Ok);
        CreateExperimentRunRequest request = _gateway.Calls.ShouldHaveSingleItem().ShouldBeOfType<CreateExperimentRunRequest>();
        request.Yaml.ShouldBe(Yaml);
        request.Parameters.Fields["size"].NumberValue.ShouldBe(4);
    }

    [Fact]
    public async Task Run_OfAMalformedFile_NamesTheLine()
    {
        Directory.CreateDirectory(_lab.Data);
        string path = Path.Combine(_lab.Data, "mine.yaml");
        await File.WriteAllTextAsync(path, "name: mine\nsteps: [\n", Ct);

        int code = await _lab.InvokeAsync(Ct, "run", path, "--gateway", _gateway.Url, "--data", _lab.Data);

        code.ShouldBe(ExitCode.Usage);
        _lab.Error.ToString().ShouldContain("line ");
    }

    [Fact]
    public async Task Run_GatewayThatIsNotThere_SaysSo()
    {
        // Nothing listens on the port of tcpmux.
        int code = await _lab.InvokeAsync(Ct, "run", "demo", "--gateway", "http://127.0.0.1:1", "--data", _lab.Data);

        code.ShouldBe(ExitCode.Failed);
        _lab.Error.ToString().ShouldContain("cannot be reached");
    }

    private static async IAsyncEnumerable<ExperimentRun> UntilCancelled(
        ExperimentRun run, CancellationTokenSource interrupt, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        run.Status.State = RunState.Running;
        yield return run;
        await interrupt.CancelAsync();
        await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    private Task<int> RunAsync(params string[] more) => _lab.InvokeAsync(Ct, ["run", "demo", "--gateway", _gateway.Url, "--data", _lab.Data, .. more]);
}
