using Lab.ModelHost.Residents;
using Lab.Protos.Inference.V2;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.OpenInference;

/// <summary>The rows of a request without their padding, and where each was.</summary>
/// <param name="Tokens">The rows.</param>
/// <param name="Length">The positions of every row, padding included.</param>
/// <param name="Starts">For each row how many positions of padding are before it.</param>
internal sealed record InferBatch(TokenRows Tokens, int Length, IReadOnlyList<int> Starts)
{
    /// <summary>Whether every row is as long as the request's.</summary>
    public bool IsDense => Tokens.Rows.All(row => row.Ids.Count == Length);

    /// <summary>Reads a request's inputs.</summary>
    /// <exception cref="InvalidRequestException">One is missing, unknown or malformed.</exception>
    public static InferBatch Of(ModelInferRequest request, ResidentModel model)
    {
        int ids = -1, mask = -1;
        for (int i = 0; i < request.Inputs.Count; i++)
        {
            string field = $"inputs[{i}]";
            if (request.Inputs[i].Parameters.Keys.FirstOrDefault() is { } parameter)
                throw new InvalidRequestException($"{field}.parameters[\"{parameter}\"]", "There is no such parameter of an input.");
            ref int index = ref ids;
            if (request.Inputs[i].Name == InferMetadata.AttentionMask) index = ref mask;
            else if (request.Inputs[i].Name != InferMetadata.InputIds) throw new InvalidRequestException($"{field}.name", $"There is no input '{request.Inputs[i].Name}'.");
            if (index >= 0) throw new InvalidRequestException($"{field}.name", $"'{request.Inputs[i].Name}' is there twice.");
            index = i;
        }

        if (ids < 0) throw new InvalidRequestException("inputs", $"'{InferMetadata.InputIds}' is required.");
        InferTensor.RequireContents(request);
        InferTensor tokens = InferTensor.Read(request, ids, InferType.Int64, InferType.Int32);
        return Of(tokens, mask < 0 ? null : InferTensor.Read(request, mask, InferType.Int64, InferType.Int32, InferType.Bool), model);
    }

    private static InferBatch Of(InferTensor tokens, InferTensor? mask, ResidentModel model)
    {
        if (mask is not null && (mask.Rows, mask.Columns) != (tokens.Rows, tokens.Columns))
            throw new InvalidRequestException($"{mask.Field}.shape", $"It must be that of '{InferMetadata.InputIds}': [{tokens.Rows}, {tokens.Columns}].");
        TokenRows rows = new();
        int[] starts = new int[tokens.Rows];
        for (int row = 0; row < tokens.Rows; row++)
        {
            (int start, int count) = Extent(mask, row, tokens.Columns);
            if (count > model.Config.NCtx) throw new InvalidRequestException($"{tokens.Field}.shape", $"Row {row} has {count} tokens; the model takes {model.Config.NCtx}.");
            int first = (row * tokens.Columns) + start;
            for (int i = first; i < first + count; i++)
            {
                if (tokens.Values[i] < 0 || tokens.Values[i] >= model.Config.DVocab)
                    throw new InvalidRequestException(tokens.ContentsField, $"Element {i} is {tokens.Values[i]}; tokens are from 0 to {model.Config.DVocab - 1}.");
            }

            rows.Rows.Add(new TokenRow { Ids = { tokens.Values.AsSpan(first, count).ToArray().Select(id => (int)id) } });
            starts[row] = start;
        }

        return new InferBatch(rows, tokens.Columns, starts);
    }

    private static (int Start, int Count) Extent(InferTensor? mask, int row, int columns)
    {
        if (mask is null) return (0, columns);
        ReadOnlySpan<long> values = mask.Values.AsSpan(row * columns, columns);
        if (values.IndexOfAnyExceptInRange(0, 1) is >= 0 and int odd)
            throw new InvalidRequestException(mask.ContentsField, $"Element {(row * columns) + odd} is {values[odd]}; only 0 and 1 are allowed.");
        int start = values.IndexOf(1), end = values.LastIndexOf(1) + 1;
        if (start < 0) throw new InvalidRequestException(mask.ContentsField, $"Row {row} has padding only.");
        if (values[start..end].Contains(0) || (start > 0 && end < columns))
            throw new InvalidRequestException(mask.ContentsField, $"Row {row} must have its padding on one side only.");
        return (start, end - start);
    }
}
