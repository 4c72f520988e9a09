using Grpc.Core;
using Lab.Artifacts;
using Lab.Models;
using Lab.Protos.ModelHost.V1;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class ResidencyTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private async Task<Model> LoadAsync(string name) =>
        await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken);

    private async Task UnloadAsync(string name) =>
        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken);

    private async Task<string[]> NamesAsync() =>
        [.. (await _lab.Client.ListModelsAsync(new ListModelsRequest(), cancellationToken: TestContext.Current.CancellationToken)).Models.Select(model => model.Name)];

    private async Task FlipByteAsync()
    {
        StoredArtifact artifact = await _lab.Store.GetAsync(ModelName, TestContext.Current.CancellationToken);
        string path = _lab.Store.GetPath(artifact, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^5] ^= 1;
        // Blobs are read-only.
        File.Delete(path);
        File.WriteAllBytes(path, bytes);
    }

    [Fact]
    public async Task GetModel_Resident_SaysWhatItIs()
    {
        Model model = await _lab.Client.GetModelAsync(new GetModelRequest { Name = ModelName }, cancellationToken: TestContext.Current.CancellationToken);

        using Transformer gpt = NewModel();
        model.Digest.ShouldBe((await _lab.Store.GetAsync(ModelName, TestContext.Current.CancellationToken)).Digest);
        model.NCtx.ShouldBe(64);
        model.ParameterCount.ShouldBe(gpt.Weights.All.Sum(parameter => parameter.Value.numel()));
        model.NonzeroParameterCount.ShouldBe(gpt.Weights.All.Sum(parameter => parameter.Value.count_nonzero().item<long>()));
        model.SizeBytes.ShouldBe(4 * model.ParameterCount);
        model.Device.ShouldBe("cpu");
    }

    [Fact]
    public async Task LoadModel_Twice_IsTheSameModel()
    {
        (await LoadAsync(ModelName)).ShouldBe(await LoadAsync(ModelName));
        (await NamesAsync()).ShouldBe([ModelName]);
    }

    [Fact]
    public async Task LoadModel_NameThatPointsElsewhereByNow_GetsTheNewWeights()
    {
        using Transformer other = NewModel(seed: 4);
        StoredArtifact artifact = await StoreAsync(_lab.Store, ModelName, other);

        (await LoadAsync(ModelName)).Digest.ShouldBe(artifact.Digest);
        (await NamesAsync()).ShouldBe([ModelName]);
    }

    [Fact]
    public async Task LoadModel_ByDigest_IsResidentUnderIt()
    {
        string digest = (await _lab.Store.GetAsync(ModelName, TestContext.Current.CancellationToken)).Digest;

        (await LoadAsync(digest)).Name.ShouldBe(digest);

        ListModelsResponse first = await _lab.Client.ListModelsAsync(new ListModelsRequest { PageSize = 1 }, cancellationToken: TestContext.Current.CancellationToken);
        ListModelsResponse second = await _lab.Client.ListModelsAsync(
            new ListModelsRequest { PageSize = 1, PageToken = first.NextPageToken }, cancellationToken: TestContext.Current.CancellationToken);
        first.Models.ShouldHaveSingleItem().Name.ShouldBe(ModelName);
        second.Models.ShouldHaveSingleItem().Name.ShouldBe(digest);
        second.NextPageToken.ShouldBeEmpty();
    }

    [Fact]
    public async Task LoadModel_NotStored_IsNotFound()
    {
        (await ErrorOf(() => LoadAsync("models/nowhere"))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task LoadModel_OfAnotherKind_NamesTheField()
    {
        StoredArtifact corpus = await _lab.Store.PutAsync(
            "corpus",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "corpus.json"), "{}", ct),
            TestContext.Current.CancellationToken);

        (await ErrorOf(() => LoadAsync(corpus.Digest))).Field().ShouldBe("name");
    }

    [Fact]
    public async Task LoadModel_FlippedByte_IsDataLoss()
    {
        await UnloadAsync(ModelName);
        await FlipByteAsync();

        RpcException e = await ErrorOf(() => LoadAsync(ModelName));

        e.StatusCode.ShouldBe(StatusCode.DataLoss);
        e.Status.Detail.ShouldContain("model.safetensors");
        (await NamesAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task UnloadModel_Resident_IsThenStoredButNotLoaded()
    {
        await UnloadAsync(ModelName);

        RpcException run = await ErrorOf(() => _lab.RunAsync(Request([1])));
        run.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        run.Reason().ShouldBe("MODEL_NOT_LOADED");
        (await ErrorOf(() => UnloadAsync(ModelName))).StatusCode.ShouldBe(StatusCode.NotFound);
        (await ErrorOf(async () => await _lab.Client.GetModelAsync(new GetModelRequest { Name = ModelName }))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Restart_ResidentModels_AreResidentAgainWithoutALoad()
    {
        RunRequest request = Request([1, 2, 3]);
        request.Logits = LogitsMode.All;
        var before = (await _lab.RunAsync(request)).Tensors;

        await _lab.StopAsync();
        await _lab.StartAsync();

        (await _lab.RunAsync(request)).Tensors.ShouldBe(before);
        (await NamesAsync()).ShouldBe([ModelName]);
    }

    [Fact]
    public async Task Restart_UnloadedModels_StayAway()
    {
        await UnloadAsync(ModelName);

        await _lab.StopAsync();
        await _lab.StartAsync();

        (await NamesAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Restart_ResidentThatIsCorruptByNow_GivesTheReasonUntilUnloaded()
    {
        await _lab.StopAsync();
        await FlipByteAsync();
        await _lab.StartAsync();

        (await ErrorOf(() => _lab.RunAsync(Request([1])))).StatusCode.ShouldBe(StatusCode.DataLoss);
        (await NamesAsync()).ShouldBeEmpty();
        await UnloadAsync(ModelName);
        (await ErrorOf(() => _lab.RunAsync(Request([1])))).Reason().ShouldBe("MODEL_NOT_LOADED");
    }

    [Fact]
    public async Task Restart_CorruptResidentThatWasRepaired_CanBeLoaded()
    {
        await _lab.StopAsync();
        await FlipByteAsync();
        await _lab.StartAsync();
        (await NamesAsync()).ShouldBeEmpty();
        await FlipByteAsync();

        await LoadAsync(ModelName);

        (await NamesAsync()).ShouldBe([ModelName]);
    }
}
