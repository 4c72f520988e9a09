using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.Models.Tokenizers.Chat;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Mapping;

/// <summary>Models and hooks.</summary>
internal static class ModelMapping
{
    /// <summary>What a request wants to be loaded.</summary>
    public static LoadOrder ToOrder(this LoadModelRequest request) => new(
        request.Name,
        request.Folder.Length == 0 ? null : request.Folder,
        request.DataType switch
        {
            DataType.Unspecified => null,
            DataType.Fp32 => TensorDataType.Float32,
            DataType.Bf16 => TensorDataType.BFloat16,
            DataType.Fp64 => TensorDataType.Float64,
            _ => throw new InvalidRequestException("data_type", "Models compute in FP32, BF16 or FP64."),
        },
        request.HasPinned ? request.Pinned : null);

    /// <summary>A model, whatever has become of it.</summary>
    public static Model ToMessage(this ModelStatus status)
    {
        Model message = status.Model?.ToMessage() ?? new Model { Name = status.Source.Name, Folder = status.Source.Folder ?? "" };
        message.State = status.State switch
        {
            Residency.Loading => ModelState.Loading,
            Residency.Resident => ModelState.Resident,
            Residency.Failed => ModelState.Failed,
            Residency.Evicted => ModelState.Evicted,
            _ => ModelState.Unloaded,
        };
        (message.Reason, message.Pinned, message.SizeBytes, message.LoadedBytes) = (status.Reason, status.IsPinned, status.SizeBytes, status.LoadedBytes);
        return message;
    }

    /// <summary>A resident model.</summary>
    public static Model ToMessage(this ResidentModel model) => new()
    {
        Name = model.Name,
        Digest = model.Digest,
        NLayers = model.Config.NLayers,
        DModel = model.Config.DModel,
        NHeads = model.Config.NHeads,
        NKeyValueHeads = model.Config.KeyValueHeads,
        DHead = model.Config.DHead,
        DMlp = model.Config.DMlp,
        DVocab = model.Config.DVocab,
        NCtx = model.Config.NCtx,
        ParameterCount = model.Facts.ParameterCount,
        NonzeroParameterCount = model.Facts.NonzeroParameterCount,
        SizeBytes = model.Facts.SizeBytes,
        LoadedBytes = model.Facts.SizeBytes,
        Device = model.Facts.Device,
        Family = NameOf(model.Config.Family),
        DataType = model.Facts.Type.ToProto(),
        Tokenizer = model.Tokenizer?.ToMessage(),
        ChatTemplate = (model.Tokenizer is { } tokenizer ? ChatPrompt.Find(tokenizer) : null).ToProto(),
        State = ModelState.Resident,
        LastUsedUnixMs = model.LastUsed?.ToUnixTimeMilliseconds() ?? 0,
        Pinned = model.IsPinned,
        Folder = model.Source.Folder ?? "",
        RequestCount = model.LeaseCount,
    };

    private static TokenizerInfo ToMessage(this ITokenizer tokenizer)
    {
        SpecialTokens special = tokenizer.SpecialTokens;
        TokenizerInfo message = new()
        {
            VocabSize = tokenizer.VocabSize,
            EosIds = { special.Stops },
            AddsBos = tokenizer.AddsBos(),
            SpecialTokens = { special.ByText.OrderBy(token => token.Value).Select(token => new SpecialToken { Id = token.Value, Text = token.Key }) },
        };
        if (special.Bos is { } bos) message.BosId = bos;
        return message;
    }

    /// <summary>A parameter.</summary>
    public static Parameter ToMessage(this ParameterFacts parameter, TensorDataType type)
    {
        Parameter message = new() { Name = parameter.Name, Shape = { parameter.Shape }, DataType = type.ToProto(), InputsFirst = parameter.IsInOut };
        if (parameter.Layer is { } layer) message.Layer = layer;
        return message;
    }

    /// <summary>A hook.</summary>
    public static Hook ToMessage(this HookPoint hook)
    {
        Hook message = new() { Name = hook.Name, Dimensions = { hook.Dimensions.Select(NameOf) }, Shape = { hook.Shape }, Aliases = { hook.Aliases } };
        if (hook.Layer >= 0) message.Layer = hook.Layer;
        return message;
    }

    private static string NameOf(ModelFamily family) => family switch
    {
        ModelFamily.CircuitSparsity => "circuit_sparsity",
        ModelFamily.Gpt2 => "gpt2",
        ModelFamily.Llama => "llama",
        ModelFamily.Mistral => "mistral",
        ModelFamily.Qwen2 => "qwen2",
        ModelFamily.Qwen3 => "qwen3",
        ModelFamily.Gemma3 => "gemma3",
        _ => throw new ArgumentOutOfRangeException(nameof(family), family, "It has no name."),
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
