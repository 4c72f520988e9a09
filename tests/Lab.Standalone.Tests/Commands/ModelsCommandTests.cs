using Lab.Standalone.Hosting;

namespace Lab.Standalone.Tests.Commands;

public sealed class ModelsCommandTests : IDisposable
{
    private static readonly string _folder = Path.Combine(AppContext.BaseDirectory, "Golden", "hf-llama");

    private readonly CommandLine _lab = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _lab.Dispose();

    private Task<int> InvokeAsync(params string[] args) => _lab.InvokeAsync(Ct, ["models", .. args, "--data", _lab.Data]);

    private async Task<string> ListAsync()
    {
        _lab.Output.GetStringBuilder().Clear();
        (await InvokeAsync()).ShouldBe(ExitCode.Ok);
        // The table is broken into lines as wide as a terminal.
        return string.Concat(_lab.Output.ToString().Where(c => !char.IsWhiteSpace(c)));
    }

    [Fact]
    public async Task Load_Folder_IsResidentWheneverTheLabStarts()
    {
        (await InvokeAsync("load", "models/llama", "--folder", _folder, "--dtype", "bf16", "--pin")).ShouldBe(ExitCode.Ok, _lab.Error.ToString());

        _lab.Lines[^1].ShouldContain("models/llama is resident (bf16");
        _lab.Lines[^1].ShouldContain("pinned");
        await using EmbeddedLab lab = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(_lab.Data) { LogsToFile = true }, Ct);
        (await InvokeAsync("load", "models/llama")).ShouldBe(ExitCode.Ok, _lab.Error.ToString());
        string list = await ListAsync();
        list.ShouldContain("models/llama");
        list.ShouldContain("bf16");

        (await InvokeAsync("unload", "models/llama")).ShouldBe(ExitCode.Ok);
        (await ListAsync()).ShouldNotContain("models/llama");
    }

    [Fact]
    public async Task Load_NoModel_SaysWhatIsMissing()
    {
        (await InvokeAsync("load", "models/none", "--folder", AppContext.BaseDirectory)).ShouldBe(ExitCode.Failed);

        _lab.Error.ToString().ShouldContain("config.json");
    }

    [Fact]
    public async Task Load_UnknownType_IsAUsageError() => (await InvokeAsync("load", "models/llama", "--dtype", "int8")).ShouldBe(ExitCode.Usage);

    [Fact]
    public async Task Load_LabForOthers_LoadsFromNoFolder()
    {
        await using EmbeddedLab lab = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(_lab.Data) { LogsToFile = true, GatewayUrl = "http://*:0" }, Ct);

        (await InvokeAsync("load", "models/llama", "--folder", _folder, "--gateway", $"http://127.0.0.1:{lab.Gateway.Port}")).ShouldBe(ExitCode.Failed);

        _lab.Error.ToString().ShouldContain("ModelFolders");
    }
}
