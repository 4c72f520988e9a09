namespace Lab.EndToEnd.Tests.Support;

/// <summary>How long tests wait for what takes seconds on an idle machine, before they fail.</summary>
internal static class TestTimes
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);
}
