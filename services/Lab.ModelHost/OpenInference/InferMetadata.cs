using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Protos.Inference.V2;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.OpenInference;

/// <summary>What a model takes and gives, in the protocol's words. Its version is its digest.</summary>
internal static class InferMetadata
{
    public const string Platform = "lab";
    public const string InputIds = "input_ids";
    public const string AttentionMask = "attention_mask";

    public static ModelMetadataResponse Of(ResidentModel model) => new()
    {
        Name = model.Name,
        Versions = { model.Digest },
        Platform = Platform,
        Inputs = { Tensor(InputIds, InferType.Int64, -1, -1), Tensor(AttentionMask, InferType.Int64, -1, -1) },
        Outputs =
        {
            Tensor(RunPlan.LogitsName, InferType.Fp32, -1, -1, model.Config.DVocab),
            model.Hooks.All.Select(hook => Tensor(hook.Name, InferType.Fp32, [.. hook.Shape])),
        },
    };

    /// <summary>Whether a request for a version means this model; an empty one means any.</summary>
    public static bool IsVersion(ResidentModel model, string version) => version.Length == 0 || version == model.Digest;

    /// <exception cref="NotFoundException">Another version is asked for.</exception>
    public static void RequireVersion(ResidentModel model, string version)
    {
        if (!IsVersion(model, version)) throw new NotFoundException("Model", $"{model.Name}@{version}");
    }

    /// <summary>The dimensions of the logits, as those of hooks.</summary>
    public static IReadOnlyList<HookDimension> LogitsDimensions { get; } = [HookDimension.Batch, HookDimension.Pos, HookDimension.DVocab];

    private static ModelMetadataResponse.Types.TensorMetadata Tensor(string name, string type, params long[] shape) =>
        new() { Name = name, Datatype = type, Shape = { shape } };
}
