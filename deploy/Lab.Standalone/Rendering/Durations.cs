using System.Globalization;

namespace Lab.Standalone.Rendering;

/// <summary>Times as a clock shows them.</summary>
internal static class Durations
{
    /// <summary>"1:05" or "1:02:05".</summary>
    public static string Clock(TimeSpan time) => time.ToString(time.TotalHours >= 1 ? @"h\:mm\:ss" : @"m\:ss", CultureInfo.InvariantCulture);
}
