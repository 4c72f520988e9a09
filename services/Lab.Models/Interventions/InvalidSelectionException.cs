namespace Lab.Models.Interventions;

/// <summary>A selector matches no hook, or an index of it is out of range. ParamName is the path of the offending field.</summary>
public sealed class InvalidSelectionException(string field, string reason) : ArgumentException(reason, field)
{
    /// <summary>What is wrong, without the field.</summary>
    public string Reason { get; } = reason;
}
