namespace Lab.Models.Interventions;

/// <summary>The two parts of a generation.</summary>
public enum GenerationPhase
{
    /// <summary>All passes.</summary>
    Both,

    /// <summary>The pass over the prompt.</summary>
    Prefill,

    /// <summary>The passes over generated tokens.</summary>
    Decode,
}
