using Lab.Models;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.ModelHost.Passes;

/// <summary>A tensor that a run would send.</summary>
/// <param name="Name">The hook's canonical name, or "logits".</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="SizeBytes">Its raw bytes; at most what 64 bits can count.</param>
internal sealed record SentTensor(string Name, IReadOnlyList<long> Shape, long SizeBytes)
{
    /// <summary>What it holds of a hook's activation; null for logits and what belongs to no hook.</summary>
    public ResolvedSelection? Selection { get; init; }

    /// <summary>Whether it is a capture, and <see cref="ResolvedSelection.Index"/> its number.</summary>
    public bool IsCapture { get; init; }

    /// <summary>Raw bytes of a tensor; at most what 64 bits can count.</summary>
    public static long Bytes(IReadOnlyList<long> shape, TensorDataType type) =>
        (long)Int128.Min(shape.Aggregate((Int128)type.Size(), (product, size) => product * size), long.MaxValue);
}

/// <summary>What a run would do, send and cost. Everything in it is checked.</summary>
internal sealed record RunPlan(ForwardPlan Forward, RunOrder Order, IReadOnlyList<SentTensor> Tensors)
{
    /// <summary>The name under which logits are sent.</summary>
    public const string LogitsName = "logits";

    /// <summary>The raw bytes of all tensors; at most what 64 bits can count.</summary>
    public long TotalBytes { get; } = Clamp(Tensors.Aggregate((Int128)0, (sum, tensor) => sum + tensor.SizeBytes));

    /// <summary>Plans a run.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="config">The model's sizes.</param>
    /// <param name="order">What is asked for.</param>
    /// <param name="unmatched">Gets the selectors that match nothing; if null, those are errors.</param>
    /// <param name="reach">The length that rows may still grow to in generation; 0 if they do not.</param>
    /// <param name="parameters">The model's parameters; needed for weight edits.</param>
    /// <exception cref="ArgumentException">A selector or a value does not fit; ParamName is its path.</exception>
    public static RunPlan Of(
        HookCatalog hooks, TransformerConfig config, RunOrder order, ICollection<string>? unmatched = null, int reach = 0, ParameterCatalog? parameters = null)
    {
        TokenBatch batch = order.Batch;
        ForwardPlan forward = ForwardPlan.Resolve(hooks, batch, order.Captures, order.Interventions, order.Prefix, reach, unmatched, edits: order.Edits, parameters: parameters);
        SentTensor Sent(string name, IReadOnlyList<long> shape) => SizeOf(order, name, shape);

        IEnumerable<SentTensor> logits = order.Logits switch
        {
            LogitsSelection.None => [],
            LogitsSelection.Last => [Sent(LogitsName, [batch.Count, config.DVocab])],
            _ => [Sent(LogitsName, [batch.Count, batch.Length, config.DVocab])],
        };
        IEnumerable<SentTensor> captures = forward.Captures.Select(capture => Sent(capture.Hook.Name, capture.Shape) with { Selection = capture, IsCapture = true });
        return new RunPlan(forward, order, [.. captures, .. logits]);
    }

    /// <summary>How the rows of one of the tensors lie; null if it has no positions.</summary>
    public RowLayout? LayoutOf(int tensor) =>
        Tensors[tensor].Selection is { } selection ? RowLayout.Of(selection, Order.Batch, Tensors[tensor].Shape.Count)
        : Tensors[tensor] is { Name: LogitsName or $"delta/{LogitsName}", Shape.Count: 3 } ? RowLayout.OfRows(Order.Batch)
        : Tensors[tensor].Name == "kl" ? RowLayout.OfRows(Order.Batch, Tensors[tensor].Shape.Count == 3 ? (int)Tensors[tensor].Shape[0] : null)
        : null;

    /// <summary>A tensor of the run's type that is sent beside the plan's.</summary>
    public SentTensor Sent(string name, IReadOnlyList<long> shape) => SizeOf(Order, name, shape);

    private static SentTensor SizeOf(RunOrder order, string name, IReadOnlyList<long> shape) => new(name, shape, SentTensor.Bytes(shape, order.DataType));

    private static long Clamp(Int128 bytes) => (long)Int128.Min(bytes, long.MaxValue);
}
