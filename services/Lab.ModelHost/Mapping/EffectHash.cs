using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Hashes of what requests ask for.</summary>
internal static class EffectHash
{
    /// <summary>
    /// What identifies an intervention's effect, in hexadecimal: the SHA-256 of its deterministic serialization, where the SHA-256 of
    /// each tensor's data stands for the data, and without tensors' names, `allow_unfired` and fields that are not known.
    /// </summary>
    public static string Hash(this Proto.Intervention intervention)
    {
        Proto.Intervention effect = intervention.Clone();
        effect.AllowUnfired = false;
        Digest(effect.Set?.Value, effect.Add?.Value, effect.Mean?.Value, effect.ProjectOut?.Directions, effect.ProjectOnto?.Directions, effect.SwapSubspace?.Directions);
        return Known(effect).Hash();
    }

    /// <summary>The same of a weight edit.</summary>
    public static string Hash(this Proto.WeightEdit edit)
    {
        Proto.WeightEdit effect = edit.Clone();
        effect.AllowUnfired = false;
        Digest(effect.LowRank?.A, effect.LowRank?.B, effect.Bias);
        return Known(effect).Hash();
    }

    /// <summary>The SHA-256 of a message's deterministic serialization, in hexadecimal.</summary>
    public static string Hash(this IMessage message)
    {
        byte[] bytes = new byte[message.CalculateSize()];
        CodedOutputStream output = new(bytes) { Deterministic = true };
        message.WriteTo(output);
        output.Flush();
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    private static void Digest(params ReadOnlySpan<Proto.TensorSource?> sources)
    {
        foreach (Proto.TensorSource? source in sources)
        {
            if (source?.Inline is not { } tensor) continue;
            tensor.Name = "";
            tensor.Data = ByteString.CopyFrom(SHA256.HashData(tensor.Data.Span));
        }
    }

    private static IMessage Known(IMessage message) => message.Descriptor.Parser.WithDiscardUnknownFields(true).ParseFrom(message.ToByteString());
}
