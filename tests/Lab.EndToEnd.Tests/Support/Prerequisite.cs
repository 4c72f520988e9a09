namespace Lab.EndToEnd.Tests.Support;

/// <summary>What tests need of the machine beside .NET.</summary>
internal static class Prerequisite
{
    /// <summary>Where a program is on the path, or null.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <summary>Skips the test if something is lacking. With CI=true it fails instead.</summary>
    public static void Require(string? lack)
    {
        if (lack is null) return;
        if (Environment.GetEnvironmentVariable("CI") == "true") Assert.Fail(lack);
        Assert.Skip(lack);
    }
}
