using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>Runs a hosted model from C#.</summary>
internal static class ModelClient
{
    /// <summary>A request for whole activations of prompts.</summary>
    public static RunRequest Request(string model, string hook, params IEnumerable<string> prompts) => new()
    {
        Model = model,
        Input = new Input { Texts = new Texts { Texts_ = { prompts } } },
        Captures = { new Selector { Hook = hook } },
    };

    /// <summary>Runs to the end.</summary>
    public static async Task<Dictionary<string, HostTensor>> RunToEndAsync(this ModelHostService.ModelHostServiceClient client, RunRequest request, CancellationToken cancellationToken)
    {
        using AsyncServerStreamingCall<RunResponse> call = client.Run(request, cancellationToken: cancellationToken);
        Dictionary<string, HostTensor> tensors = [];
        TensorFrameReader reader = new();
        await foreach (RunResponse response in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (response.ResponseCase == RunResponse.ResponseOneofCase.Frame && reader.Accept(response.Frame) is { } tensor) tensors.Add(tensor.Name, tensor);
        }

        reader.Complete();
        return tensors;
    }
}
