namespace Lab.Models;

/// <summary>What a parameter does.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Outputs">Of a matrix the channels that it gives; of a table the entries; of a vector its length.</param>
/// <param name="Inputs">Of a matrix the channels that it reads; of a table the channels of an entry; else 1.</param>
public sealed record ParameterRole(string Name, ParameterKind Kind, long Outputs, long Inputs)
{
    /// <summary>The layer of a matrix and its bias; -1 for others.</summary>
    internal int Layer { get; init; } = -1;

    /// <summary>Where a matrix and its bias are.</summary>
    internal MapSite Site { get; init; }
}

/// <summary>Kinds of parameters.</summary>
public enum ParameterKind
{
    /// <summary>Maps x to W x, [out, in] whatever its layout in the file.</summary>
    Matrix,

    /// <summary>Rows that are looked up, [entries, channels]; a tied embedding is a matrix too, from channels to entries.</summary>
    Table,

    /// <summary>A bias or a norm's gain.</summary>
    Vector,

    /// <summary>The logits of attention's sinks.</summary>
    Sink,
}

/// <summary>Where a matrix is.</summary>
internal enum MapSite
{
    /// <summary>Anywhere else.</summary>
    Other,

    /// <summary>From what attention reads to queries, keys or values.</summary>
    AttentionInput,

    /// <summary>From the heads to the residual stream.</summary>
    AttentionOutput,
}
