namespace Lab.Models.Interventions;

/// <summary>Units of an intervention's strength.</summary>
public enum StrengthUnit
{
    /// <summary>Activations as they are.</summary>
    Absolute,

    /// <summary>
    /// The Euclidean norm of the token's own activation at that site, all its channels together (of each head on its own), before this
    /// intervention. The value is first brought to length 1.
    /// </summary>
    ResidualNorm,
}
