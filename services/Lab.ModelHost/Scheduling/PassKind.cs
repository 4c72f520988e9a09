namespace Lab.ModelHost.Scheduling;

/// <summary>Passes of one kind may be one pass.</summary>
internal enum PassKind
{
    /// <summary>Whole rows, without caches.</summary>
    Run,

    /// <summary>The prompt of a generation.</summary>
    Prefill,

    /// <summary>One token of a generation.</summary>
    Decode,
}
