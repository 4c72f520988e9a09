using Lab.EndToEnd.Tests.Support;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>tests/clients/python through the gateway.</summary>
public sealed class PythonClientTests(Baseline baseline, SharedLab shared)
{
    private static readonly string[] _prompts = ["print(\"file", "log('name')\nlog('", "open(\"data value\")"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StreamResidPost_ThroughTheGateway_GetsWhatTheCSharpClientGets()
    {
        await PythonClient.RequireAsync(Ct);
        string model = (await shared.ReportAsync(baseline.Corpus, 0)).DigestOf("sparse");
        NativeLab lab = await shared.StartedAsync();
        using TemporaryFolder folder = new();
        string stubs = Directory.CreateDirectory(folder["stubs"]).FullName;
        await PythonClient.GenerateAsync(stubs, ["lab/tensor/v1", "lab/model_host/v1"], Ct);

        await using LabProcess client = PythonClient.Start("stream_resid_post.py", stubs, [lab.Gateway.Authority, model, folder["out.npz"], .. _prompts]);
        (await client.WaitForExitAsync(Ct)).ShouldBe(0, client.Transcript);

        Dictionary<string, HostTensor> theirs = NumpyArchive.Read(folder["out.npz"]);
        Dictionary<string, HostTensor> ours = await new ModelHostService.ModelHostServiceClient(lab.Channel)
            .RunToEndAsync(ModelClient.Request(model, "blocks.*.hook_resid_post", _prompts), Ct);
        ours.Keys.ShouldBe(["blocks.0.hook_resid_post"]);
        theirs.Keys.ShouldBe(ours.Keys, client.Transcript);
        foreach ((string hook, HostTensor expected) in ours)
        {
            theirs[hook].Shape.ShouldBe(expected.Shape, hook);
            Difference(theirs[hook].Floats, expected.Floats).ShouldBeLessThanOrEqualTo(1e-6, hook);
            expected.Floats.ToArray().Max(Math.Abs).ShouldBePositive(hook);
        }
    }

    [Fact]
    public async Task Text_OfATrainedModel_IsSelectedBatchedAndGenerated()
    {
        await PythonClient.RequireAsync(Ct);
        string model = (await shared.ReportAsync(baseline.Corpus, 0)).DigestOf("sparse");
        NativeLab lab = await shared.StartedAsync();
        using TemporaryFolder stubs = new();
        await PythonClient.GenerateAsync(stubs.Path, ["lab/tensor/v1", "lab/model_host/v1"], Ct);

        await using LabProcess client = PythonClient.Start("check_text.py", stubs.Path, lab.Gateway.Authority, model);
        (await client.WaitForExitAsync(Ct)).ShouldBe(0, client.Transcript);
        client.Output.Select(line => line.Split(':')[0]).ShouldBe(["selectors", "batches", "generation"], client.Transcript);
    }

    private static double Difference(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double most = 0;
        for (int i = 0; i < a.Length; i++) most = Math.Max(most, Math.Abs((double)a[i] - b[i]));
        return most;
    }
}
