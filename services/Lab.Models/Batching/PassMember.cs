namespace Lab.Models.Batching;

/// <summary>
/// One request's part in a forward pass that several may share: its own rows, length, tap, weight edits and logits, which know
/// nothing of the others. For one pass only; used on the model's thread.
/// </summary>
/// <param name="rows">The new tokens of each row: at least one row, none empty, each token below d_vocab.</param>
public sealed class PassMember(IReadOnlyList<int[]> rows)
{
    /// <summary>The new tokens of each row.</summary>
    public IReadOnlyList<int[]> Rows { get; } = rows;

    /// <summary>New tokens in the longest row: the length that the tap and the edits see.</summary>
    public int Length { get; } = rows.Max(ids => ids.Length);

    /// <summary>What each row has seen before, one a row; null for rows that begin here. Members of one pass all have some or none.</summary>
    public IReadOnlyList<SequenceCache>? Caches { get; init; }

    /// <summary>Sees and changes activations of the own rows; null for none.</summary>
    public IActivationTap? Tap { get; init; }

    /// <summary>Changes to parameters, for the own rows; null for none.</summary>
    public IWeightEdits? Edits { get; init; }

    /// <summary>Which logits to compute: indices into the own rows flattened to [rows x pos].</summary>
    /// <value>The default value is all.</value>
    public LogitSelection Logits { get; init; } = LogitSelection.All;

    /// <summary>Layers to run, without logits: see <see cref="ForwardInput.StopAtLayer"/>. A pass with others runs all of them nevertheless.</summary>
    public int? StopAtLayer { get; init; }

    /// <summary>Called at every hook; throws what is to end the member, such as its cancellation. Null for nothing.</summary>
    public Action? Check { get; init; }

    /// <summary>What ended the member while the others went on; null if nothing did.</summary>
    public Exception? Failure { get; internal set; }
}
