using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Microsoft.Extensions.DependencyInjection;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class RunManyTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private RunLimits Limits => _lab.Host.Services.GetRequiredService<RunLimits>();

    public ValueTask InitializeAsync() => _lab.InitializeAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    /// <summary>A run that differs from others in rows, capture and intervention.</summary>
    private static RunRequest Varied(int i)
    {
        RunRequest request = Request([.. Enumerable.Range(0, 1 + (i % 3)).Select(row => Enumerable.Range(i + row, 1 + ((i + row) % 5)).Select(id => id % 200).ToArray())]);
        request.Captures.Add(new Selector { Hook = $"blocks.{i % 2}.hook_resid_post" });
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_mlp_out" }, Scale = new ScaleOperation { Factor = i * 0.1f } });
        request.Logits = i % 2 == 0 ? LogitsMode.Last : LogitsMode.None;
        return request;
    }

    /// <summary>64 tokens x 32 channels a row: 16 KiB at two hooks.</summary>
    private static RunRequest Large(int rows = 256)
    {
        RunRequest request = Request([.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(row, 64).Select(id => id % 256).ToArray())]);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_post" });
        return request;
    }

    /// <summary>Sends requests, and reads what comes, each request's messages on their own.</summary>
    private async Task<Dictionary<string, List<RunManyResponse>>> RunAsync(IEnumerable<(string Id, RunRequest Run)> requests)
    {
        using AsyncDuplexStreamingCall<RunManyRequest, RunManyResponse> call = _lab.Client.RunMany(cancellationToken: Ct);
        Task sending = SendAsync();
        Dictionary<string, List<RunManyResponse>> replies = [];
        await foreach (RunManyResponse response in call.ResponseStream.ReadAllAsync(Ct))
        {
            if (!replies.TryGetValue(response.Id, out List<RunManyResponse>? list)) replies.Add(response.Id, list = []);
            list.Add(response);
        }

        await sending;
        return replies;

        async Task SendAsync()
        {
            foreach ((string id, RunRequest run) in requests) await call.RequestStream.WriteAsync(run is null ? new RunManyRequest { Id = id } : new RunManyRequest { Id = id, Run = run }, Ct);
            await call.RequestStream.CompleteAsync();
        }
    }

    private static List<HostTensor> Tensors(List<RunManyResponse> reply)
    {
        reply[0].Started.ShouldNotBeNull();
        reply[^1].Summary.ShouldNotBeNull();
        TensorFrameReader reader = new();
        List<HostTensor> tensors = [.. reply.Skip(1).SkipLast(1).Select(response => reader.Accept(response.Frame.ShouldNotBeNull())).OfType<HostTensor>()];
        reader.Complete();
        tensors.Select(tensor => tensor.Name).ShouldBe(reply[0].Started.Tensors.Select(tensor => tensor.Name));
        return tensors;
    }

    [Fact]
    public async Task RunMany_ManyRequests_GiveWhatEachGivesAlone()
    {
        var replies = await RunAsync(Enumerable.Range(0, 100).Select(i => ($"r{i}", Varied(i))));

        replies.Count.ShouldBe(100);
        for (int i = 0; i < 100; i += 7)
        {
            List<HostTensor> alone = (await _lab.RunAsync(Varied(i))).Tensors, together = Tensors(replies[$"r{i}"]);
            together.Select(tensor => tensor.ToString()).ShouldBe(alone.Select(tensor => tensor.ToString()));
            for (int tensor = 0; tensor < alone.Count; tensor++)
            {
                for (int j = 0; j < alone[tensor].ElementCount; j++) together[tensor].Floats[j].ShouldBe(alone[tensor].Floats[j], 1e-5f);
            }
        }
    }

    [Fact]
    public async Task RunMany_RequestsThatFail_AreToldAndTheRestGoesOn()
    {
        RunRequest unknown = Varied(1), wrong = Varied(2), tooMuch = Varied(3);
        unknown.Model = "models/nowhere";
        wrong.Captures[0].Positions.Add(77);
        tooMuch.Budget = new Budget { MaxBytes = 4 };

        var replies = await RunAsync([("a", Varied(0)), ("unknown", unknown), ("wrong", wrong), ("much", tooMuch), ("none", null!), ("b", Varied(1))]);

        Tensors(replies["a"]).ShouldNotBeEmpty();
        Tensors(replies["b"]).ShouldNotBeEmpty();
        RequestError ErrorOfOnly(string id) => replies[id].ShouldHaveSingleItem().Error.ShouldNotBeNull();
        ErrorOfOnly("unknown").Code.ShouldBe((int)StatusCode.NotFound);
        (ErrorOfOnly("wrong").Code, ErrorOfOnly("wrong").Field).ShouldBe(((int)StatusCode.InvalidArgument, "captures[0].positions[0]"));
        (ErrorOfOnly("much").Reason, ErrorOfOnly("much").HasRetryMs).ShouldBe(("BYTE_BUDGET_EXCEEDED", false));
        ErrorOfOnly("none").Field.ShouldBe("run");
        Google.Rpc.Status.Parser.ParseFrom(ErrorOfOnly("wrong").Status).Message.ShouldBe(ErrorOfOnly("wrong").Message);
    }

    [Fact]
    public async Task RunMany_MoreThanMemoryHolds_WaitsForItsOwnReader()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxHeldBytes", "1200000"));

        var replies = await RunAsync(Enumerable.Range(0, 12).Select(i => ($"{i}", Large(32))));

        replies.Count.ShouldBe(12);
        foreach (List<RunManyResponse> reply in replies.Values) Tensors(reply).Count.ShouldBe(2);
        Limits.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task RunMany_StoredTensorsThatFindNoMemory_AreReadAgainLater()
    {
        HostTensor value = HostTensor.FromFloats("value", [.. Enumerable.Range(0, 32 * 64 * 32).Select(i => (i % 101 - 50) * 0.01f)], 32, 64, 32);
        StoredArtifact artifact = await _lab.Store.PutAsync(
            "bridge",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                SafetensorsWriter.Write(Path.Combine(folder, "value.safetensors"), [value]);
                return Task.CompletedTask;
            },
            Ct);
        RunRequest stored = Large(32), inline = Large(32);
        stored.Interventions.Add(Setting(new TensorSource { Stored = new Protos.ModelHost.V1.StoredTensor { Artifact = artifact.Digest } }));
        inline.Interventions.Add(Setting(new TensorSource { Inline = value.ToMessage() }));
        List<HostTensor> expected = (await _lab.RunAsync(inline)).Tensors;

        // The stored tensor has 256 KiB, captures have twice that: with one request at work, the tensor of the next finds no room.
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxHeldBytes", "1000000"));
        var replies = await RunAsync(Enumerable.Range(0, 12).Select(i => ($"{i}", stored)));

        replies.Count.ShouldBe(12);
        foreach (List<RunManyResponse> reply in replies.Values)
        {
            List<HostTensor> tensors = Tensors(reply);
            for (int i = 0; i < expected.Count; i++) tensors[i].Floats.ToArray().ShouldBe(expected[i].Floats.ToArray(), 1e-5);
        }

        Limits.HeldBytes.ShouldBe(0);

        static Intervention Setting(TensorSource source) => new() { Selector = new Selector { Hook = "hook_embed" }, Set = new SetOperation { Value = source } };
    }

    [Fact]
    public async Task RunMany_MemoryHeldByOthers_IsAnErrorWithATimeToTryAgain()
    {
        await _lab.StopAsync();
        await _lab.StartAsync(("ModelHost:MaxHeldBytes", "5000000"));
        using IDisposable others = Limits.Hold(4_000_000);

        RequestError error = (await RunAsync([("a", Large())]))["a"].ShouldHaveSingleItem().Error;

        error.Reason.ShouldBe("MEMORY_BUSY");
        error.RetryMs.ShouldBePositive();
    }

    [Fact]
    public async Task RunMany_IdThatIsGoingOn_EndsTheCall()
    {
        using ModelLease lease = await _lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(ModelName, "model", Ct);
        using ManualResetEventSlim release = new();
        Task blocking = lease.Model.Worker.RunAsync(_ => release.Wait(CancellationToken.None), Ct);
        try
        {
            (await ErrorOf(() => RunAsync([("a", Varied(0)), ("a", Varied(1))]))).Field().ShouldBe("id");
        }
        finally
        {
            release.Set();
        }

        await blocking;
        (await ErrorOf(() => RunAsync([("", Varied(0))]))).Field().ShouldBe("id");
        (await ErrorOf(() => RunAsync([(new string('a', 129), Varied(0))]))).Field().ShouldBe("id");
    }

    [Fact]
    public async Task RunMany_ClientThatGoesAway_FreesWhatItHeld()
    {
        using ModelLease lease = await _lab.Host.Services.GetRequiredService<ModelRegistry>().LeaseAsync(ModelName, "model", Ct);
        using (AsyncDuplexStreamingCall<RunManyRequest, RunManyResponse> call = _lab.Client.RunMany(cancellationToken: Ct))
        {
            for (int i = 0; i < 8; i++) await call.RequestStream.WriteAsync(new RunManyRequest { Id = $"{i}", Run = Large() }, Ct);
            (await call.ResponseStream.MoveNext(Ct)).ShouldBeTrue();
            Limits.HeldBytes.ShouldBePositive();
        }

        while (Limits.HeldBytes > 0 || lease.Model.LeaseCount > 1)
        {
            Ct.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        (await _lab.RunAsync(Request([1, 2]))).Tensors.ShouldBeEmpty();
    }
}
