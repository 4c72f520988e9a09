using Lab.Gateway.Engine;
using Lab.Gateway.Storage;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults;
using Lab.Testing;
using Orleans.Runtime;
using Orleans.Storage;

namespace Lab.Gateway.Tests.Storage;

public sealed class FileGrainStorageTests : IDisposable
{
    private static readonly GrainId Grain = GrainId.Create("run", "my-run");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ReadState_NothingStored_GivesNewStateWithoutRecord()
    {
        GrainState<ExperimentRunState> state = new();

        await Storage().ReadStateAsync("run", Grain, state);

        state.RecordExists.ShouldBeFalse();
        state.ETag.ShouldBeNull();
        state.State!.Run.ShouldBeNull();
    }

    [Fact]
    public async Task WriteState_ThenRead_GivesEqualState()
    {
        GrainState<ExperimentRunState> state = new() { State = Filled() };
        await Storage().WriteStateAsync("run", Grain, state);
        GrainState<ExperimentRunState> read = new();
        await Storage().ReadStateAsync("run", Grain, read);

        read.RecordExists.ShouldBeTrue();
        read.ETag.ShouldBe(state.ETag);
        read.State!.Run.ShouldBe(state.State!.Run);
        read.State!.Nonce.ShouldBe("0a1b2c3d");
        read.State!.IgnoresCache.ShouldBeTrue();
        Storage().Keys("run").ShouldBe(["my-run"]);
        (await Storage().FindAsync<ExperimentRunState>("run", "my-run", TestContext.Current.CancellationToken))!.Run.ShouldBe(state.State!.Run);
    }

    [Fact]
    public async Task WriteState_OverANewerVersion_IsRefused()
    {
        GrainState<ExperimentRunState> first = new() { State = Filled() }, second = new();
        await Storage().WriteStateAsync("run", Grain, first);
        await Storage().ReadStateAsync("run", Grain, second);
        await Storage().WriteStateAsync("run", Grain, second);

        await Should.ThrowAsync<InconsistentStateException>(() => Storage().WriteStateAsync("run", Grain, first));
        await Should.ThrowAsync<InconsistentStateException>(() => Storage().WriteStateAsync("run", Grain, new GrainState<ExperimentRunState>()));
        await Should.ThrowAsync<InconsistentStateException>(() => Storage().ClearStateAsync("run", Grain, first));
    }

    [Fact]
    public async Task WriteState_DiskFullInTheMiddle_KeepsTheOldStateWhole()
    {
        GrainState<ExperimentRunState> state = new() { State = Filled() };
        await Storage().WriteStateAsync("run", Grain, state);
        string? etag = state.ETag;
        state.State!.Run!.Status.State = RunState.Succeeded;

        FileGrainStorage full = new(_folder.Path, new AtomicFile(path => new FullDisk(path)));
        await Should.ThrowAsync<IOException>(() => full.WriteStateAsync("run", Grain, state));

        state.ETag.ShouldBe(etag);
        GrainState<ExperimentRunState> read = new();
        await Storage().ReadStateAsync("run", Grain, read);
        read.State!.Run!.Status.State.ShouldBe(RunState.Running);
        Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories).Count().ShouldBe(1);
        await Storage().WriteStateAsync("run", Grain, state);
    }

    [Fact]
    public async Task ClearState_Stored_RemovesIt()
    {
        GrainState<ExperimentRunState> state = new() { State = Filled() };
        await Storage().WriteStateAsync("run", Grain, state);

        await Storage().ClearStateAsync("run", Grain, state);

        state.RecordExists.ShouldBeFalse();
        Storage().Keys("run").ShouldBeEmpty();
    }

    [Theory]
    [InlineData("{\"Version\": 1, \"State\": {\"Run\": {\"na")]
    [InlineData("{\"Version\": 1, \"State\": {\"Run\": {\"name\": 5}}}")]
    [InlineData("null")]
    public async Task ReadState_Damaged_NamesTheFile(string content)
    {
        await Storage().WriteStateAsync("run", Grain, new GrainState<ExperimentRunState> { State = Filled() });
        string path = Directory.EnumerateFiles(_folder.Path, "*.json", SearchOption.AllDirectories).Single();
        await File.WriteAllTextAsync(path, content, TestContext.Current.CancellationToken);

        (await Should.ThrowAsync<InvalidDataException>(() => Storage().ReadStateAsync("run", Grain, new GrainState<ExperimentRunState>()))).Message.ShouldContain(path);
    }

    private FileGrainStorage Storage() => new(_folder.Path, new AtomicFile());

    private static ExperimentRunState Filled() => new()
    {
        Nonce = "0a1b2c3d",
        IgnoresCache = true,
        Run = new ExperimentRun
        {
            Name = "experimentRuns/my-run",
            Yaml = "name: e\n",
            Status = new RunStatus
            {
                State = RunState.Running,
                Metrics = { ["loss"] = 0.1, ["nan"] = double.NaN },
                Error = new Google.Rpc.Status
                {
                    Code = 3,
                    Details = { Google.Protobuf.WellKnownTypes.Any.Pack(new Google.Rpc.ErrorInfo { Reason = "WHY" }) },
                },
            },
        },
    };

    private sealed class FullDisk(string path) : FileStream(path, FileMode.CreateNew)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            base.Write(buffer[..(buffer.Length / 2)]);
            throw new IOException("No space left on device", 28);
        }
    }
}
