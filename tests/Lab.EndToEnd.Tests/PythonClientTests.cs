using Lab.EndToEnd.Tests.Architecture;
using Lab.EndToEnd.Tests.Support;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>tests/clients/python through the gateway.</summary>
public sealed class PythonClientTests(Baseline baseline, SharedLab shared)
{
    // Debian's packages belong to this one.
    private const string Python = "/usr/bin/python3";

    private static readonly string[] _prompts = ["print(\"file", "log('name')\nlog('", "open(\"data value\")"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StreamResidPost_ThroughTheGateway_GetsWhatTheCSharpClientGets()
    {
        string? lack = await LackAsync();
        if (lack is not null && Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(lack);
        string model = (await shared.ReportAsync(baseline.Corpus, 0)).DigestOf("sparse");
        NativeLab lab = await shared.StartedAsync();
        using TemporaryFolder folder = new();
        string stubs = Directory.CreateDirectory(folder["stubs"]).FullName;
        await RunAsync(Find("protoc")!, Protoc(stubs));

        string output = await RunAsync(
            Python, [Path.Combine(Repository.Root, "tests", "clients", "python", "stream_resid_post.py"), lab.Gateway.Authority, model, folder["out.npz"], .. _prompts],
            ("PYTHONPATH", stubs));

        Dictionary<string, HostTensor> theirs = NumpyArchive.Read(folder["out.npz"]);
        Dictionary<string, HostTensor> ours = await new ModelHostService.ModelHostServiceClient(lab.Channel)
            .RunToEndAsync(ModelClient.Request(model, "blocks.*.hook_resid_post", _prompts), Ct);
        ours.Keys.ShouldBe(["blocks.0.hook_resid_post"]);
        theirs.Keys.ShouldBe(ours.Keys, output);
        foreach ((string hook, HostTensor expected) in ours)
        {
            theirs[hook].Shape.ShouldBe(expected.Shape, hook);
            Difference(theirs[hook].Floats, expected.Floats).ShouldBeLessThanOrEqualTo(1e-6, hook);
            expected.Floats.ToArray().Max(Math.Abs).ShouldBePositive(hook);
        }
    }

    private static double Difference(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double most = 0;
        for (int i = 0; i < a.Length; i++) most = Math.Max(most, Math.Abs((double)a[i] - b[i]));
        return most;
    }

    private static IEnumerable<string> Protoc(string stubs)
    {
        string protos = Path.Combine(Repository.Root, "protos");
        return
        [
            "-I", protos, $"--python_out={stubs}", $"--grpc_python_out={stubs}", $"--plugin=protoc-gen-grpc_python={Find("grpc_python_plugin")}",
            .. ((string[])["tensor", "model_host"]).SelectMany(package => Directory.EnumerateFiles(Path.Combine(protos, "lab", package, "v1"), "*.proto")),
        ];
    }

    /// <summary>What this machine lacks for a Python client, or null.</summary>
    private static async Task<string?> LackAsync()
    {
        foreach (string program in (string[])["protoc", "grpc_python_plugin"])
            if (Find(program) is null) return $"There is no {program} (Debian: protobuf-compiler, protobuf-compiler-grpc).";
        if (!File.Exists(Python)) return $"There is no {Python}.";
        await using LabProcess import = LabProcess.Start(Python, ["-c", "import grpc, numpy, google.protobuf"]);
        return await import.WaitForExitAsync(Ct) == 0 ? null : $"{Python} lacks a module (Debian: python3-grpcio, python3-protobuf, python3-numpy): {import.Transcript}";
    }

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments, params IEnumerable<(string, string)> environment)
    {
        await using LabProcess process = LabProcess.Start(program, arguments, environment);
        (await process.WaitForExitAsync(Ct)).ShouldBe(0, process.Transcript);
        return process.Transcript;
    }
}
