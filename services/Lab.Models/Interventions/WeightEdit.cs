using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>A change to a parameter for one request: the shared model is not touched. Edits of one parameter add up.</summary>
/// <param name="Parameter">The parameter's name, of <see cref="TransformerWeights.All"/>.</param>
public sealed record WeightEdit(string Parameter)
{
    /// <summary>For a matrix W [out, in], which maps x to W x whatever its layout in the file, and for a table [entries, channels]: W becomes W + coefficient x B A.</summary>
    public LowRankDelta? LowRank { get; init; }

    /// <summary>For a matrix what is added to its output, [out]; for a vector a delta of its shape. FP32.</summary>
    public HostTensor? Bias { get; init; }

    /// <summary>Multiplies the deltas.</summary>
    /// <value>The default value is 1.</value>
    public float Coefficient { get; init; } = 1;

    /// <summary>The tokens whose computation uses the edited parameter; names no hook. Null for all.</summary>
    public ActivationSelector? Tokens { get; init; }

    /// <summary>Whether it is no error if it applies to no token.</summary>
    public bool AllowUnfired { get; init; }
}

/// <summary>A matrix as the product of two thin ones.</summary>
/// <param name="B">[out, r], FP32.</param>
/// <param name="A">[r, in], FP32; r from 1 to 1024.</param>
public sealed record LowRankDelta(HostTensor B, HostTensor A);
