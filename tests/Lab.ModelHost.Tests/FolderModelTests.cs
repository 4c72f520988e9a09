using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;
using Lab.Testing;
using static Lab.ModelHost.Tests.CallErrors;

namespace Lab.ModelHost.Tests;

public sealed class FolderModelTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Golden", name);

    public static TheoryData<string> GoldenNames => ["dense-layernorm-tied", "hf-gpt2", "hf-llama", "hf-qwen2", "hf-qwen3", "sparse-rms-sink-bigram"];

    public async ValueTask InitializeAsync() => await StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _lab.DisposeAsync();
        _folder.Dispose();
    }

    private Task StartAsync() => _lab.StartAsync(("ModelHost:ModelFolders:0", Path.Combine(AppContext.BaseDirectory, "Golden")), ("ModelHost:ModelFolders:1", _folder["allowed"]));

    private async Task<Model> LoadAsync(string name, string folder = "", DataType type = DataType.Unspecified) =>
        await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = name, Folder = folder, DataType = type }, cancellationToken: Ct);

    private async Task<List<Model>> AllAsync() => [.. (await _lab.Client.ListModelsAsync(new ListModelsRequest { ShowAll = true }, cancellationToken: Ct)).Models];

    /// <summary>A copy that a test may change.</summary>
    private string Copy(string golden, string name)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder["allowed"], name)).FullName;
        foreach (string file in Directory.EnumerateFiles(Golden(golden))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    private static RunRequest Request(string model, params int[][] rows)
    {
        RunRequest request = HostedLab.Request(rows);
        request.Model = model;
        return request;
    }

    [Fact]
    public async Task Run_InDoublePrecision_SendsIt()
    {
        await LoadAsync("models/fp32", Golden("hf-llama"));
        await LoadAsync("models/fp64", Golden("hf-llama"), DataType.Fp64);
        RunRequest request = Request("models/fp64", [1, 2, 3]);
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post" });
        request.Logits = LogitsMode.All;
        RunReply single = await _lab.RunAsync(request);
        request.DataType = DataType.Fp64;
        RunReply reply = await _lab.RunAsync(request);
        reply.Started.ModelDataType.ShouldBe(DataType.Fp64);
        reply.Tensors.Select(tensor => tensor.DataType).ShouldBe([TensorDataType.Float64, TensorDataType.Float64]);
        foreach ((HostTensor tensor, HostTensor rounded) in reply.Tensors.Zip(single.Tensors))
        {
            double[] values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(tensor.Data.Span).ToArray();
            values.Select(value => (float)value).ShouldBe(rounded.Floats.ToArray());
            values.ShouldContain(value => value != (float)value);
        }

        request.Model = "models/fp32";
        (await ErrorOf(() => _lab.RunAsync(request))).Field().ShouldBe("data_type");
    }

    [Theory]
    [MemberData(nameof(GoldenNames))]
    public async Task Run_GoldenFolder_GivesTheReferencesLogitsAndActivations(string golden)
    {
        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(Golden(golden), "expected.safetensors"));
        await LoadAsync("models/golden", Golden(golden));
        long[] tokens = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(expected.Read("tokens").Data.Span).ToArray();
        RunRequest request = Request("models/golden", [.. tokens.Chunk((int)expected.Entries["tokens"].Shape[1]).Select(row => row.Select(id => (int)id).ToArray())]);
        request.Logits = LogitsMode.All;
        string[] keys = [.. expected.Entries.Keys.Where(key => key.StartsWith("act/", StringComparison.Ordinal))];
        request.Captures.Add(keys.Select(key => new Selector { Hook = key["act/".Length..] }));
        ListHooksResponse hooks = await _lab.Client.ListHooksAsync(new ListHooksRequest { Model = "models/golden" }, cancellationToken: Ct);

        Dictionary<string, HostTensor> actual = (await _lab.RunAsync(request)).Tensors.DistinctBy(tensor => tensor.Name).ToDictionary(tensor => tensor.Name);

        ShouldMatch(actual["logits"], expected.Read("logits"));
        keys.ShouldNotBeEmpty();
        foreach (string key in keys)
        {
            string name = key["act/".Length..];
            Hook hook = hooks.Hooks.Single(hook => hook.Name == name || hook.Aliases.Contains(name));
            ShouldMatch(actual[hook.Name], expected.Read(key));
        }
    }

    private static void ShouldMatch(HostTensor actual, HostTensor expected)
    {
        actual.ElementCount.ShouldBe(expected.ElementCount, actual.Name);
        for (int i = 0; i < actual.ElementCount; i++)
        {
            double wanted = expected.Floats[i];
            if (!double.IsFinite(wanted) && actual.Floats[i] == wanted) continue;
            (Math.Abs(actual.Floats[i] - wanted) / Math.Max(1, Math.Abs(wanted))).ShouldBeLessThan(1e-5, $"{actual.Name}[{i}]");
        }
    }

    [Fact]
    public async Task LoadModel_Folder_SaysWhatItIs()
    {
        Model model = await LoadAsync("models/llama", Golden("hf-llama"));

        model.Family.ShouldBe("llama");
        model.State.ShouldBe(ModelState.Resident);
        model.Folder.ShouldBe(Golden("hf-llama"));
        model.Digest.ShouldStartWith("sha256:");
        model.DataType.ShouldBe(DataType.Fp32);
        model.SizeBytes.ShouldBe(4 * model.ParameterCount);
        model.Tokenizer.ShouldBeNull();
    }

    [Fact]
    public async Task LoadModel_DataType_DecidesTheWeights()
    {
        Model stored = await LoadAsync("models/llama", Golden("hf-llama"));
        Model half = await LoadAsync("models/llama", Golden("hf-llama"), DataType.Bf16);
        Model same = await LoadAsync("models/llama");
        Model twice = await LoadAsync("models/llama", type: DataType.Fp64);

        (half.DataType, half.SizeBytes).ShouldBe((DataType.Bf16, stored.SizeBytes / 2));
        same.ShouldBe(half);
        (twice.DataType, twice.SizeBytes).ShouldBe((DataType.Fp64, stored.SizeBytes * 2));
        (await _lab.RunAsync(Request("models/llama", [1, 2]))).Started.ModelDataType.ShouldBe(DataType.Fp64);
        (await ErrorOf(() => LoadAsync("models/llama", type: DataType.Fp16))).Field().ShouldBe("data_type");
    }

    [Fact]
    public async Task LoadModel_NameAlone_FindsTheFoldersModel()
    {
        Model loaded = await LoadAsync("models/llama", Golden("hf-llama"));

        (await LoadAsync("models/llama")).ShouldBe(loaded);
    }

    [Fact]
    public async Task LoadModel_FolderThatChanged_GetsTheNewWeights()
    {
        string folder = Copy("hf-llama", "changing");
        Model before = await LoadAsync("models/llama", folder);
        string weights = Path.Combine(folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights + ".new", [.. bytes]);
        File.Move(weights + ".new", weights, overwrite: true);
        File.SetLastWriteTimeUtc(weights, File.GetLastWriteTimeUtc(weights).AddSeconds(1));

        (await LoadAsync("models/llama")).Digest.ShouldNotBe(before.Digest);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/etc")]
    public async Task LoadModel_FolderElsewhere_IsNotAllowed(string folder)
    {
        RpcException e = await ErrorOf(() => LoadAsync("models/x", folder));

        e.StatusCode.ShouldBe(StatusCode.PermissionDenied);
        e.Reason().ShouldBe("FOLDER_NOT_ALLOWED");
    }

    [Fact]
    public async Task LoadModel_WayAroundTheAllowedFolders_IsNotAllowed()
    {
        string allowed = Directory.CreateDirectory(_folder["allowed"]).FullName;
        Directory.CreateDirectory(_folder["allowed-not"]);
        Directory.CreateSymbolicLink(Path.Combine(allowed, "link"), _folder["allowed-not"]);

        foreach (string folder in (string[])[_folder["allowed-not"], Path.Combine(allowed, "..", "allowed-not"), Path.Combine(allowed, "link")])
            (await ErrorOf(() => LoadAsync("models/x", folder))).Reason().ShouldBe("FOLDER_NOT_ALLOWED", folder);
        (await ErrorOf(() => LoadAsync("models/x", Path.Combine(allowed, "nothing")))).StatusCode.ShouldBe(StatusCode.NotFound);
        (await ErrorOf(() => LoadAsync("models/x", "allowed"))).Field().ShouldBe("folder");
        (await ErrorOf(() => LoadAsync("models/x", "/" + string.Concat(Enumerable.Repeat("a/", 200_000))))).Field().ShouldBe("folder");
    }

    [Fact]
    public async Task LoadModel_FolderUnderANameOfTheStore_IsRefused()
    {
        using Lab.Models.Transformer model = HostedLab.NewModel();
        await HostedLab.StoreAsync(_lab.Store, HostedLab.ModelName, model);

        (await ErrorOf(() => LoadAsync(HostedLab.ModelName, Golden("hf-llama")))).Reason().ShouldBe("NAME_IN_STORE");
    }

    [Fact]
    public async Task LoadModel_FolderWithoutAModel_IsDataLoss()
    {
        Directory.CreateDirectory(Path.Combine(_folder["allowed"], "empty"));

        RpcException e = await ErrorOf(() => LoadAsync("models/x", Path.Combine(_folder["allowed"], "empty")));

        e.StatusCode.ShouldBe(StatusCode.DataLoss);
        e.Status.Detail.ShouldContain("config.json");
        (await AllAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_TextsWithoutATokenizer_IsFailedPrecondition()
    {
        await LoadAsync("models/llama", Golden("hf-llama"));

        RpcException e = await ErrorOf(() => _lab.RunAsync(new RunRequest { Model = "models/llama", Input = new Input { Texts = new Texts { Texts_ = { "a" } } } }));

        e.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        e.Reason().ShouldBe("NO_TOKENIZER");
    }

    [Fact]
    public async Task Restart_FolderModels_AreResidentAgainAsTheyWere()
    {
        await LoadAsync("models/llama", Golden("hf-llama"), DataType.Bf16);
        Model before = await _lab.Client.PinModelAsync(new PinModelRequest { Name = "models/llama" }, cancellationToken: Ct);

        await _lab.StopAsync();
        await StartAsync();

        Model after = await _lab.Client.GetModelAsync(new GetModelRequest { Name = "models/llama" }, cancellationToken: Ct);
        after.ShouldBe(before);
        after.Pinned.ShouldBeTrue();
    }

    [Fact]
    public async Task Restart_FolderThatIsGone_GivesTheReasonUntilUnloaded()
    {
        string folder = Copy("hf-llama", "going");
        await LoadAsync("models/llama", folder);
        await _lab.StopAsync();
        Directory.Delete(folder, recursive: true);
        await StartAsync();

        (await ErrorOf(() => _lab.RunAsync(Request("models/llama", [1])))).StatusCode.ShouldBe(StatusCode.NotFound);
        Model failed = (await AllAsync()).ShouldHaveSingleItem();
        failed.State.ShouldBe(ModelState.Failed);
        failed.Reason.ShouldContain(folder);
        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = "models/llama" }, cancellationToken: Ct);
        (await AllAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task ListParameters_Gpt2_HasTheFilesNamesShapesAndLayout()
    {
        await LoadAsync("models/gpt2", Golden("hf-gpt2"));

        ListParametersResponse page = await _lab.Client.ListParametersAsync(new ListParametersRequest { Model = "models/gpt2", PageSize = 1000 }, cancellationToken: Ct);

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(Golden("hf-gpt2"), "model.safetensors"));
        page.Parameters.Count.ShouldBeGreaterThan(20);
        foreach (Parameter parameter in page.Parameters)
        {
            parameter.Shape.ShouldBe(file.Entries[parameter.Name].Shape, parameter.Name);
            parameter.InputsFirst.ShouldBe(parameter.Name.Contains(".c_", StringComparison.Ordinal) && parameter.Shape.Count == 2, parameter.Name);
            parameter.HasLayer.ShouldBe(parameter.Name.StartsWith("h.", StringComparison.Ordinal), parameter.Name);
        }
    }
}
