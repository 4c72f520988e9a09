using System.Buffers.Binary;
using Google.Protobuf;
using Lab.Protos.Inference.V2;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.OpenInference;

/// <summary>An input of integers, its elements read from wherever the request has them.</summary>
/// <param name="Field">The input's path.</param>
/// <param name="ContentsField">The path of its elements.</param>
/// <param name="Rows">The first dimension, at least 1.</param>
/// <param name="Columns">The second dimension, at least 1.</param>
/// <param name="Values">Row-major.</param>
internal sealed record InferTensor(string Field, string ContentsField, int Rows, int Columns, long[] Values)
{
    /// <summary>Reads an input of two dimensions.</summary>
    /// <param name="request">The request.</param>
    /// <param name="index">Which input.</param>
    /// <param name="types">The types that it may have.</param>
    /// <exception cref="InvalidRequestException">It is malformed.</exception>
    public static InferTensor Read(ModelInferRequest request, int index, params string[] types)
    {
        string field = $"inputs[{index}]";
        ModelInferRequest.Types.InferInputTensor input = request.Inputs[index];
        if (!types.Contains(input.Datatype)) throw new InvalidRequestException($"{field}.datatype", $"'{input.Name}' is of type {string.Join(" or ", types)}.");
        if (input.Shape.Count != 2 || input.Shape.Any(size => size is < 1 or > int.MaxValue))
            throw new InvalidRequestException($"{field}.shape", $"'{input.Name}' has the shape [batch, pos], each at least 1.");
        Int128 count = (Int128)input.Shape[0] * input.Shape[1];
        (string contents, long[] values) = request.RawInputContents.Count > 0
            ? Raw($"raw_input_contents[{index}]", input.Datatype, request.RawInputContents[index])
            : Typed($"{field}.contents", input);
        if (values.Length != count) throw new InvalidRequestException(contents, $"It has {values.Length} elements for the shape [{input.Shape[0]}, {input.Shape[1]}].");
        return new InferTensor(field, contents, (int)input.Shape[0], (int)input.Shape[1], values);
    }

    /// <summary>Requires that elements are either all raw or all typed.</summary>
    /// <exception cref="InvalidRequestException">They are not.</exception>
    public static void RequireContents(ModelInferRequest request)
    {
        if (request.RawInputContents.Count == 0) return;
        if (request.RawInputContents.Count != request.Inputs.Count)
            throw new InvalidRequestException("raw_input_contents", $"There are {request.RawInputContents.Count} for {request.Inputs.Count} inputs.");
        for (int i = 0; i < request.Inputs.Count; i++)
            if (request.Inputs[i].Contents is not null) throw new InvalidRequestException($"inputs[{i}].contents", "It must not be set beside raw_input_contents.");
    }

    private static (string Field, long[] Values) Raw(string field, string type, ByteString bytes)
    {
        int size = type switch { InferType.Int64 => sizeof(long), InferType.Int32 => sizeof(int), _ => 1 };
        if (bytes.Length % size != 0) throw new InvalidRequestException(field, $"{bytes.Length} bytes are no elements of {size} bytes.");
        long[] values = new long[bytes.Length / size];
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> element = bytes.Span.Slice(i * size, size);
            values[i] = size switch { sizeof(long) => BinaryPrimitives.ReadInt64LittleEndian(element), sizeof(int) => BinaryPrimitives.ReadInt32LittleEndian(element), _ => element[0] };
        }

        return (field, values);
    }

    private static (string Field, long[] Values) Typed(string field, ModelInferRequest.Types.InferInputTensor input)
    {
        InferTensorContents contents = input.Contents ?? throw new InvalidRequestException(field, "Elements are required, here or in raw_input_contents.");
        return input.Datatype switch
        {
            InferType.Int64 => ($"{field}.int64_contents", [.. contents.Int64Contents]),
            InferType.Int32 => ($"{field}.int_contents", [.. contents.IntContents.Select(value => (long)value)]),
            _ => ($"{field}.bool_contents", [.. contents.BoolContents.Select(value => value ? 1L : 0L)]),
        };
    }
}
