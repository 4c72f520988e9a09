namespace Lab.Models.Gradients;

/// <summary>How the values of a row's positions are put together.</summary>
public enum Reduction
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Their sum.</summary>
    Sum,
}
