using Google.Protobuf;

namespace Lab.Tensors;

/// <summary>Tensors that travel inside one message (<c>lab.tensor.v1.Tensor</c>), for those of at most 4 MiB.</summary>
public static class TensorMessages
{
    /// <summary>The most bytes of elements that a message may carry: 4 MiB. Larger tensors travel as frames.</summary>
    public const int MaxDataBytes = 4 << 20;

    /// <summary>Checks a message and takes over its bytes without a copy.</summary>
    /// <param name="message">The message.</param>
    /// <param name="field">The path of the message in its request, such as <c>interventions[2].value</c>.</param>
    /// <param name="maxDataBytes">The most bytes of elements; by default <see cref="MaxDataBytes"/>.</param>
    /// <returns>The tensor.</returns>
    /// <exception cref="ArgumentException">
    /// The type, shape or byte count is bad. <see cref="ArgumentException.ParamName"/> is the path of the bad field:
    /// <paramref name="field"/> and <c>.data_type</c>, <c>.shape</c> or <c>.data</c>.
    /// </exception>
    public static HostTensor ToHost(this Protos.Tensor.V1.Tensor message, string field, int maxDataBytes = MaxDataBytes)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (message.DataType.ToCore() is not { } type) throw new ArgumentException($"The element type {message.DataType} is not known.", $"{field}.data_type");
        long[] shape = [.. message.Shape];
        if (!TensorShape.TryCount(shape, type.Size(), out long count, out string? error)) throw new ArgumentException($"The shape {error}.", $"{field}.shape");
        if (message.Data.Length > maxDataBytes) throw new ArgumentException($"{message.Data.Length} bytes are too many for one message: at most {maxDataBytes} are allowed.", $"{field}.data");
        if (message.Data.Length != count * type.Size())
        {
            throw new ArgumentException(
                $"Shape {TensorShape.Format(shape)} and type {type} need {count * type.Size()} bytes, but there are {message.Data.Length}.",
                $"{field}.data");
        }

        return new HostTensor(message.Name, type, shape, message.Data.Memory);
    }

    /// <summary>Wraps a tensor in a message without copying its elements.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <returns>The message; it shares the tensor's memory.</returns>
    /// <exception cref="ArgumentException">The tensor is larger than <see cref="MaxDataBytes"/>.</exception>
    public static Protos.Tensor.V1.Tensor ToMessage(this HostTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.Data.Length > MaxDataBytes)
            throw new ArgumentException($"Tensor '{tensor.Name}' has {tensor.Data.Length} bytes; at most {MaxDataBytes} fit in one message.", nameof(tensor));
        return new Protos.Tensor.V1.Tensor
        {
            Name = tensor.Name,
            DataType = tensor.DataType.ToProto(),
            Shape = { tensor.Shape },
            Data = UnsafeByteOperations.UnsafeWrap(tensor.Data),
        };
    }
}
