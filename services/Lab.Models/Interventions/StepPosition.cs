namespace Lab.Models.Interventions;

/// <summary>A pass over one generated token of each row.</summary>
/// <param name="Past">The token's position: how many tokens come before it.</param>
/// <param name="Step">The step of decoding, from 0.</param>
public readonly record struct StepPosition(int Past, int Step);
