using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.ModelHost.Tests;

/// <summary>A data folder with a small stored model, and ModelHost over it on loopback.</summary>
public sealed class HostedLab : IAsyncLifetime
{
    public const string ModelName = "models/small";

    public static readonly LabTokenizer Tokenizer = BpeTrainer.Train(["the cat sat on the mat, the cat sat"], 264, CancellationToken.None);

    public static readonly TransformerConfig Config = new()
    {
        NLayers = 2,
        DModel = 32,
        NHeads = 2,
        DHead = 16,
        DMlp = 48,
        DVocab = Tokenizer.VocabSize,
        NCtx = 64,
        Positions = PositionKind.Learned,
        ActivationFraction = 0.5,
    };

    private readonly TemporaryFolder _folder = new();
    private PartHost? _host;

    public string Data => _folder.Path;

    public ArtifactStore Store => new(_folder["artifacts"]);

    public PartHost Host => _host ?? throw new InvalidOperationException("The host is not started.");

    public ModelHostService.ModelHostServiceClient Client => new(Host.Channel);

    /// <summary>The weights of the stored model.</summary>
    internal static Transformer NewModel(ulong seed = 3)
    {
        using Generator generator = new(seed);
        return new Transformer(Config, new TransformerWeights(Config, (_, shape) => randn(shape, generator: generator).mul_(0.3)));
    }

    public static async Task<StoredArtifact> StoreAsync(ArtifactStore store, string name, Transformer gpt)
    {
        StoredArtifact artifact = await store.PutAsync(
            "model",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                TransformerCheckpoint.Save(gpt, folder);
                Tokenizer.Save(folder);
                return Task.CompletedTask;
            },
            CancellationToken.None);
        await store.SetNameAsync(name, artifact.Digest, CancellationToken.None);
        return artifact;
    }

    public async ValueTask InitializeAsync()
    {
        using Transformer gpt = NewModel();
        await StoreAsync(Store, ModelName, gpt);
        await StartAsync();
        await Client.LoadModelAsync(new LoadModelRequest { Name = ModelName });
    }

    public async Task StartAsync(params (string Key, string Value)[] settings) =>
        _host = await PartHost.StartAsync(Data, builder => builder.AddModelHost(), app => app.MapModelHost(), [("Lab:Device", "cpu"), ("Lab:Threads", "1"), .. settings]);

    public async Task StopAsync()
    {
        if (_host is not null) await _host.DisposeAsync();
        _host = null;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }

    /// <summary>A run over token rows.</summary>
    public static RunRequest Request(params int[][] rows) => new()
    {
        Model = ModelName,
        Input = new Input { Tokens = new TokenRows { Rows = { rows.Select(ids => new TokenRow { Ids = { ids } }) } } },
    };

    /// <summary>Runs and reads everything.</summary>
    public async Task<RunReply> RunAsync(RunRequest request)
    {
        using AsyncServerStreamingCall<RunResponse> call = Client.Run(request, cancellationToken: TestContext.Current.CancellationToken);
        return await ReadAsync(call.ResponseStream);
    }

    public static async Task<RunReply> ReadAsync(IAsyncStreamReader<RunResponse> stream)
    {
        (await stream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        RunStarted started = stream.Current.Started.ShouldNotBeNull();
        (RunSummary summary, List<HostTensor> tensors) = await ReadTensorsAsync(stream);
        tensors.Select(tensor => tensor.Name).ShouldBe(started.Tensors.Select(tensor => tensor.Name));
        return new RunReply(started, tensors, summary);
    }

    /// <summary>Generates and reads everything.</summary>
    public async Task<GenerateReply> GenerateAsync(GenerateRequest request, ModelHostService.ModelHostServiceClient? client = null)
    {
        using AsyncServerStreamingCall<GenerateResponse> call = (client ?? Client).Generate(request, cancellationToken: TestContext.Current.CancellationToken);
        IAsyncStreamReader<GenerateResponse> stream = call.ResponseStream;
        (await stream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        GenerateReply reply = new(stream.Current.Started.ShouldNotBeNull());
        TensorFrameReader reader = new();
        while (await stream.MoveNext(TestContext.Current.CancellationToken))
        {
            reply.Finished.ShouldBeNull();
            if (stream.Current.Token is { } token) reply.Tokens.Add(token);
            if (stream.Current.Frame is { } frame && reader.Accept(frame.Frame) is { } tensor) reply.Tensors.Add((frame.HasStep ? frame.Step : null, reply.Tokens.Count, tensor));
            reply.Finished = stream.Current.Finished;
        }

        reader.Complete();
        reply.Finished.ShouldNotBeNull();
        return reply;
    }

    /// <summary>Reads what follows the first message.</summary>
    public static async Task<(RunSummary Summary, List<HostTensor> Tensors)> ReadTensorsAsync(IAsyncStreamReader<RunResponse> stream)
    {
        List<HostTensor> tensors = [];
        TensorFrameReader reader = new();
        RunSummary? summary = null;
        while (await stream.MoveNext(TestContext.Current.CancellationToken))
        {
            summary.ShouldBeNull();
            summary = stream.Current.Summary;
            if (summary is null && reader.Accept(stream.Current.Frame.ShouldNotBeNull()) is { } tensor) tensors.Add(tensor);
        }

        reader.Complete();
        return (summary.ShouldNotBeNull(), tensors);
    }
}

/// <summary>All that a run sent.</summary>
public sealed record RunReply(RunStarted Started, List<HostTensor> Tensors, RunSummary Summary);

/// <summary>All that a generation sent.</summary>
public sealed record GenerateReply(GenerateStarted Started)
{
    public List<SampledToken> Tokens { get; } = [];

    /// <summary>Captured tensors: the decoding step, the tokens that came before, the tensor.</summary>
    public List<(int? Step, int Before, HostTensor Tensor)> Tensors { get; } = [];

    public GenerateFinished? Finished { get; set; }
}

internal static class CallErrors
{
    /// <summary>What a call fails with.</summary>
    public static async Task<RpcException> ErrorOf(Func<Task> call) => await Should.ThrowAsync<RpcException>(call);

    public static string Reason(this RpcException e) => e.GetRpcStatus().ShouldNotBeNull().GetDetail<ErrorInfo>().ShouldNotBeNull().Reason;

    public static string Field(this RpcException e)
    {
        e.StatusCode.ShouldBe(StatusCode.InvalidArgument, e.Status.Detail);
        return e.GetRpcStatus().ShouldNotBeNull().GetDetail<BadRequest>().ShouldNotBeNull().FieldViolations.ShouldHaveSingleItem().Field;
    }
}
