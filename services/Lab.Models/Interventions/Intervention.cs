namespace Lab.Models.Interventions;

/// <summary>A change to activations during a forward pass.</summary>
/// <param name="Selector">Where.</param>
/// <param name="Operation">What is done to each selected element.</param>
/// <param name="AllowUnfired">Whether it is no error if it never fires.</param>
public sealed record Intervention(ActivationSelector Selector, InterventionOperation Operation, bool AllowUnfired = false);
