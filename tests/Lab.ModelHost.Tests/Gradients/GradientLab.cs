using Grpc.Core;
using Lab.Models;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.ModelHost.Tests.Gradients;

/// <summary>Calls of Gradients on a hosted lab, and on a second model without AbsTopK, whose objectives are smooth.</summary>
internal static class GradientLab
{
    public const string SmoothName = "models/smooth";

    public static readonly TransformerConfig SmoothConfig = HostedLab.Config with { ActivationFraction = 1, AttentionSink = true };

    public static Transformer NewSmooth()
    {
        using Generator generator = new(4);
        return new Transformer(SmoothConfig, new TransformerWeights(SmoothConfig, (_, shape) => randn(shape, generator: generator).mul_(0.2)));
    }

    /// <summary>Stores and loads the smooth model.</summary>
    public static async Task LoadSmoothAsync(this HostedLab lab)
    {
        using Transformer model = NewSmooth();
        await HostedLab.StoreAsync(lab.Store, SmoothName, model);
        await lab.Client.LoadModelAsync(new LoadModelRequest { Name = SmoothName }, cancellationToken: TestContext.Current.CancellationToken);
    }

    /// <summary>Mean next-token cross-entropy.</summary>
    public static GradientsRequest Request(params int[][] rows) => new()
    {
        Model = HostedLab.ModelName,
        Input = HostedLab.Request(rows).Input,
        Objective = new Objective { CrossEntropy = new CrossEntropyObjective() },
    };

    public static GradientTarget At(string hook) => new() { Activation = new Selector { Hook = hook } };

    public static TensorSource Inline(float[] values, params long[] shape) => new() { Inline = HostTensor.FromFloats("", values, shape).ToMessage() };

    /// <summary>Runs and reads everything.</summary>
    public static async Task<GradientReply> RunAsync(this HostedLab lab, GradientsRequest request)
    {
        using AsyncServerStreamingCall<GradientsResponse> call = lab.Client.Gradients(request, cancellationToken: TestContext.Current.CancellationToken);
        (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        RunStarted started = call.ResponseStream.Current.Started.ShouldNotBeNull();
        List<HostTensor> tensors = [];
        TensorFrameReader reader = new();
        GradientsSummary? summary = null;
        while (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))
        {
            summary.ShouldBeNull();
            summary = call.ResponseStream.Current.Summary;
            if (summary is null && reader.Accept(call.ResponseStream.Current.Frame.ShouldNotBeNull()) is { } tensor) tensors.Add(tensor);
        }

        reader.Complete();
        tensors.Select(tensor => (tensor.Name, TensorShape.Format(tensor.Shape))).ShouldBe(started.Tensors.Select(tensor => (tensor.Name, TensorShape.Format([.. tensor.Shape]))));
        return new GradientReply(started, tensors, summary.ShouldNotBeNull());
    }
}

/// <summary>All that a call sent.</summary>
internal sealed record GradientReply(RunStarted Started, List<HostTensor> Tensors, GradientsSummary Summary)
{
    public HostTensor this[string name] => Tensors.Single(tensor => tensor.Name == name);
}
