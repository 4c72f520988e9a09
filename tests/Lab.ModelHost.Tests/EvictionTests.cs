using System.Globalization;
using Google.Rpc;
using Grpc.Core;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Protos.ModelHost.V1;
using Microsoft.Extensions.DependencyInjection;
using TorchSharp;
using static Lab.ModelHost.Tests.CallErrors;

namespace Lab.ModelHost.Tests;

/// <summary>Counts tensors of the whole process: nothing may run beside it.</summary>
[CollectionDefinition(nameof(EvictionTests), DisableParallelization = true)]
[Collection(nameof(EvictionTests))]
public sealed class EvictionTests : IAsyncLifetime
{
    private static readonly string[] Names = ["models/a", "models/b", "models/c"];

    private readonly HostedLab _lab = new();
    private long _size;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ModelMemory Memory => _lab.Host.Services.GetRequiredService<ModelMemory>();

    private ModelRegistry Registry => _lab.Host.Services.GetRequiredService<ModelRegistry>();

    public async ValueTask InitializeAsync()
    {
        using Transformer model = HostedLab.NewModel();
        _size = model.Weights.All.Sum(parameter => parameter.Value.numel() * 4);
        foreach (string name in Names)
        {
            using Transformer other = HostedLab.NewModel((ulong)name[^1]);
            await HostedLab.StoreAsync(_lab.Store, name, other);
        }

        await StartAsync((2 * _size) + 1);
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private Task StartAsync(long limit) => _lab.StartAsync(("ModelHost:MaxModelBytes", limit.ToString(CultureInfo.InvariantCulture)));

    private async Task LoadAsync(string name) => await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = name }, cancellationToken: Ct);

    private async Task RunAsync(string name)
    {
        RunRequest request = HostedLab.Request([1, 2]);
        request.Model = name;
        await _lab.RunAsync(request);
    }

    private async Task<string> StatesAsync() => string.Join(
        ' ', (await _lab.Client.ListModelsAsync(new ListModelsRequest { ShowAll = true }, cancellationToken: Ct)).Models.Select(model => $"{model.Name[^1]}:{model.State}"));

    [Fact]
    public async Task LoadModel_MemoryShort_TheLeastRecentlyUsedGoes()
    {
        await LoadAsync("models/a");
        await LoadAsync("models/b");
        await RunAsync("models/b");
        await RunAsync("models/a");

        await LoadAsync("models/c");

        (await StatesAsync()).ShouldBe("a:Resident b:Evicted c:Resident");
        RpcException e = await ErrorOf(() => RunAsync("models/b"));
        e.Reason().ShouldBe("MODEL_NOT_LOADED");
        e.Status.Detail.ShouldContain("evicted");
        e.Status.Detail.ShouldContain("models/c");
        Memory.HeldBytes.ShouldBe(2 * _size);

        await LoadAsync("models/b");
        await RunAsync("models/b");
        (await StatesAsync()).ShouldBe("a:Resident b:Resident c:Evicted");
    }

    [Fact]
    public async Task LoadModel_ListOfResidentsThatCannotBeWritten_EvictsNoneAndPinsNone()
    {
        await LoadAsync("models/a");
        await LoadAsync("models/b");
        string list = Path.Combine(_lab.Data, "model-host", "models.json");
        File.Delete(list);
        Directory.CreateDirectory(list);

        await ErrorOf(() => LoadAsync("models/c"));

        (await StatesAsync()).ShouldBe("a:Resident b:Resident");
        Memory.HeldBytes.ShouldBe(2 * _size);
        await RunAsync("models/a");
        await RunAsync("models/b");
        await ErrorOf(async () => await _lab.Client.PinModelAsync(new PinModelRequest { Name = "models/a" }, cancellationToken: Ct));
        (await _lab.Client.GetModelAsync(new GetModelRequest { Name = "models/a" }, cancellationToken: Ct)).Pinned.ShouldBeFalse();

        Directory.Delete(list);
        await LoadAsync("models/c");
        (await StatesAsync()).ShouldBe("a:Evicted b:Resident c:Resident");
        Memory.HeldBytes.ShouldBe(2 * _size);
    }

    [Fact]
    public async Task LoadModel_AllPinned_FailsUntilOneIsUnpinned()
    {
        await LoadAsync("models/a");
        await LoadAsync("models/b");
        foreach (string name in Names[..2]) (await _lab.Client.PinModelAsync(new PinModelRequest { Name = name }, cancellationToken: Ct)).Pinned.ShouldBeTrue();

        RpcException e = await ErrorOf(() => LoadAsync("models/c"));

        e.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        e.Reason().ShouldBe("MODEL_MEMORY_BUSY");
        e.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldBeNull();
        (await StatesAsync()).ShouldBe("a:Resident b:Resident");
        (await _lab.Client.UnpinModelAsync(new UnpinModelRequest { Name = "models/a" }, cancellationToken: Ct)).Pinned.ShouldBeFalse();
        await LoadAsync("models/c");
        (await StatesAsync()).ShouldBe("a:Evicted b:Resident c:Resident");
    }

    [Fact]
    public async Task LoadModel_AllInUse_FailsAndSaysWhenToTryAgain()
    {
        await LoadAsync("models/a");
        await LoadAsync("models/b");
        using ModelLease a = await Registry.LeaseAsync("models/a", "model", Ct);
        using ModelLease b = await Registry.LeaseAsync("models/b", "model", Ct);

        RpcException e = await ErrorOf(() => LoadAsync("models/c"));

        e.Reason().ShouldBe("MODEL_MEMORY_BUSY");
        e.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
        b.Dispose();
        await LoadAsync("models/c");
        (await StatesAsync()).ShouldBe("a:Resident b:Evicted c:Resident");
    }

    [Fact]
    public async Task LoadModel_LargerThanAllMemory_IsTooLarge()
    {
        await _lab.StopAsync();
        await StartAsync(_size - 1);

        (await ErrorOf(() => LoadAsync("models/a"))).Reason().ShouldBe("MODEL_TOO_LARGE");
        Memory.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task UnloadModel_GivesItsMemoryBack()
    {
        await LoadAsync("models/a");
        Memory.HeldBytes.ShouldBe(_size);

        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = "models/a" }, cancellationToken: Ct);

        Memory.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task UnloadModel_Evicted_IsForgotten()
    {
        foreach (string name in Names) await LoadAsync(name);

        await _lab.Client.UnloadModelAsync(new UnloadModelRequest { Name = "models/a" }, cancellationToken: Ct);

        (await StatesAsync()).ShouldBe("b:Resident c:Resident");
    }

    [Fact]
    public async Task Restart_SmallerMemory_LoadsWhatFitsAndEvictsNone()
    {
        await LoadAsync("models/a");
        await LoadAsync("models/b");
        await _lab.StopAsync();
        await StartAsync(_size);
        _ = await _lab.Client.ListModelsAsync(new ListModelsRequest(), cancellationToken: Ct);

        string states = await StatesAsync();

        string[] either = ["a:Resident b:Failed", "a:Failed b:Resident"];
        either.ShouldContain(states);
    }

    [Fact]
    public async Task LoadModel_InTurn_LeavesMemoryAndTensorsFlat()
    {
        foreach (string name in Names) await LoadAsync(name);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long tensors = torch.Tensor.TotalCount;

        for (int i = 0; i < 60; i++)
        {
            await LoadAsync(Names[i % 3]);
            Memory.HeldBytes.ShouldBeLessThanOrEqualTo(Memory.Limit);
        }

        torch.Tensor.TotalCount.ShouldBeLessThanOrEqualTo(tensors);
    }
}
