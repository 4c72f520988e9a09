namespace Lab.Models.Interventions;

/// <summary>Numbers from <paramref name="First"/> to <paramref name="Last"/>, both included.</summary>
/// <param name="First">The first. Negative only for positions, where it counts from the end.</param>
/// <param name="Last">The last; null for no end. Negative only for positions.</param>
public readonly record struct IndexRange(int First, int? Last = null)
{
    /// <summary>Whether a number is in it, where negative bounds count from the end.</summary>
    /// <param name="index">From 0.</param>
    /// <param name="length">How many numbers there are.</param>
    public bool Contains(int index, int length) =>
        index >= FromStart(First, length) && (Last is not { } last || index <= FromStart(last, length));

    /// <summary>A position, counted from the start.</summary>
    internal static int FromStart(int position, int length) => position < 0 ? position + length : position;
}
