using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Models and hooks.</summary>
internal static class ModelMapping
{
    public static Model ToMessage(this ResidentModel model) => new()
    {
        Name = model.Name,
        Digest = model.Digest,
        NLayers = model.Config.NLayers,
        DModel = model.Config.DModel,
        NHeads = model.Config.NHeads,
        DHead = model.Config.DHead,
        DMlp = model.Config.DMlp,
        DVocab = model.Config.DVocab,
        NCtx = model.Config.NCtx,
        ParameterCount = model.Facts.ParameterCount,
        NonzeroParameterCount = model.Facts.NonzeroParameterCount,
        SizeBytes = model.Facts.SizeBytes,
        Device = model.Facts.Device,
    };

    public static Hook ToMessage(this HookPoint hook) => new()
    {
        Name = hook.Name,
        Dimensions = { hook.Dimensions.Select(NameOf) },
        Shape = { hook.Shape },
        Aliases = { hook.Aliases },
    };

    private static string NameOf(HookDimension dimension) => dimension switch
    {
        HookDimension.Batch => "batch",
        HookDimension.Pos => "pos",
        HookDimension.QueryPos => "query_pos",
        HookDimension.KeyPos => "key_pos",
        HookDimension.Head => "head",
        HookDimension.DHead => "d_head",
        HookDimension.DModel => "d_model",
        HookDimension.DMlp => "d_mlp",
        HookDimension.DRead => "d_read",
        HookDimension.DPos => "d_pos_emb",
        HookDimension.DVocab => "d_vocab",
        HookDimension.One => "1",
        _ => throw new ArgumentOutOfRangeException(nameof(dimension), dimension, "It has no name."),
    };
}
