using Grpc.Core;
using Lab.Models;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Tests.Means;

/// <summary>A ModelHost of one model, which goes away in the middle of as many streams as it is told.</summary>
internal sealed class FakeModelHost(Func<Transformer> load) : ModelHostService.ModelHostServiceBase
{
    private readonly Lock _gate = new();

    /// <summary>Streams still to break off.</summary>
    public int Breaks { get; set; }

    /// <summary>Streams still to refuse.</summary>
    public int Refusals { get; set; }

    /// <summary>Models that were asked for.</summary>
    public List<string> Loaded { get; } = [];

    /// <summary>Rows that were run, broken streams included.</summary>
    public int Rows { get; private set; }

    public override Task<Model> LoadModel(LoadModelRequest request, ServerCallContext context)
    {
        Loaded.Add(request.Name);
        return Task.FromResult(new Model { Name = request.Name });
    }

    public override async Task Run(RunRequest request, IServerStreamWriter<RunResponse> responseStream, ServerCallContext context)
    {
        if (Refusals-- > 0) throw new RpcException(new Status(StatusCode.FailedPrecondition, "not resident"));
        bool breaksOff = Breaks-- > 0;
        Rows += request.Input.Tokens.Rows.Count;
        await responseStream.WriteAsync(new RunResponse { Started = new RunStarted() }, context.CancellationToken);
        foreach (HostTensor tensor in Capture(request))
        {
            foreach (var frame in TensorFrames.Encode(tensor)) await responseStream.WriteAsync(new RunResponse { Frame = frame }, context.CancellationToken);
            if (breaksOff) throw new RpcException(new Status(StatusCode.Unavailable, "gone"));
        }

        await responseStream.WriteAsync(new RunResponse { Summary = new RunSummary() }, context.CancellationToken);
    }

    private IReadOnlyList<HostTensor> Capture(RunRequest request)
    {
        lock (_gate)
        {
            using var scope = NewDisposeScope();
            using Transformer model = load();
            long[] ids = [.. request.Input.Tokens.Rows.SelectMany(row => row.Ids).Select(id => (long)id)];
            RecordingTap recorder = new([.. request.Captures.Select(capture => capture.Hook)]);
            model.Forward(tensor(ids).view(request.Input.Tokens.Rows.Count, -1), recorder);
            return recorder.Tensors;
        }
    }
}
