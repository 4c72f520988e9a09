namespace Lab.Models.Interventions;

/// <summary>A captured tensor or the logits have a NaN or an infinity.</summary>
public sealed class NonFiniteActivationException(string name, string detail)
    : Exception($"{name} has an element that is not finite: {detail}.")
{
    /// <summary>The hook's canonical name, or "logits".</summary>
    public string Name { get; } = name;
}
