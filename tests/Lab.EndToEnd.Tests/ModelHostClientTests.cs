using Lab.EndToEnd.Tests.Support;
using Lab.Protos.ModelHost.V1;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>
/// tests/clients through the gateway of `lab serve`: each loads golden folders, compares, steers, streams, generates, differentiates
/// and asks for things that are wrong. What each checks is in the programs, which end with an error at the first that fails.
/// </summary>
public sealed class ModelHostClientTests(ServedLab lab)
{
    private static readonly string[] _models = ["hf-llama", "sparse-rms-sink-bigram"];
    private static readonly string[] _checks = ["golden", "steering", "frames", "encodings", "padding", "edits", "many", "generation", "gradients", "statistics", "errors"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Python_OnGoldenFolders_ChecksAll()
    {
        await PythonClient.RequireAsync(Ct);
        using TemporaryFolder stubs = new();
        await PythonClient.GenerateAsync(stubs.Path, ["lab/tensor/v1", "lab/model_host/v1"], Ct);
        await ExpectChecksAsync(PythonClient.Start("check_model_host.py", stubs.Path, [await lab.AddressAsync(), string.Join(',', _checks), .. _models.Select(ServedLab.Golden)]), _checks);
    }

    [Fact]
    public async Task TypeScript_OnGoldenFolders_ChecksAll()
    {
        TypeScriptClient.Require();
        await TypeScriptClient.BuildAsync(Ct);
        await ExpectChecksAsync(TypeScriptClient.Start("check-model-host.js", [await lab.AddressAsync(), string.Join(',', _checks), .. _models.Select(ServedLab.Golden)]), _checks);
    }

    [Fact]
    public async Task Python_WithTheOpenInferenceProtocolOnly_GetsLogitsAndActivations()
    {
        await PythonClient.RequireAsync(Ct);
        const string model = "golden/open-inference";
        await new ModelHostService.ModelHostServiceClient(await lab.ChannelAsync())
            .LoadModelAsync(new LoadModelRequest { Name = model, Folder = ServedLab.Golden("hf-gpt2") }, cancellationToken: Ct);
        using TemporaryFolder stubs = new();
        await PythonClient.GenerateAsync(stubs.Path, ["inference/v2"], Ct);
        await using LabProcess client = PythonClient.Start(
            "check_open_inference.py", stubs.Path, await lab.AddressAsync(), model, Path.Combine(ServedLab.Golden("hf-gpt2"), "expected.safetensors"));
        (await client.WaitForExitAsync(Ct)).ShouldBe(0, client.Transcript);
        client.Output.Select(line => line.Split(':')[0]).ShouldBe(["server", "raw", "typed", "padding", "bf16", "errors"], client.Transcript);
    }

    private async Task ExpectChecksAsync(LabProcess client, IReadOnlyList<string> checks)
    {
        await using LabProcess owned = client;
        int code = await client.WaitForExitAsync(Ct);
        code.ShouldBe(0, client.Transcript + await lab.TranscriptAsync());
        client.Output.Select(line => string.Join(':', line.Split(':')[..2])).ShouldBe(_models.SelectMany(model => checks.Select(check => $"{model}: {check}")), client.Transcript);
    }
}
