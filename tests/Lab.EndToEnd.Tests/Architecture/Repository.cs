namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>The repository that the tests were built from.</summary>
internal static class Repository
{
    private static readonly string[] _ownFolders = ["protos", "services", "gateway", "deploy", "tests"];
    private static readonly string[] _builtFolders = ["bin", "obj", "artifacts", "node_modules"];

    /// <summary>Its folder, absolute.</summary>
    public static string Root { get; } = FindRoot(AppContext.BaseDirectory);

    /// <summary>The projects.</summary>
    public static IReadOnlyList<Project> Projects { get; } = [.. Files("*.csproj").Select(Project.Read).OrderBy(project => project.Name, StringComparer.Ordinal)];

    /// <summary>Files at the root and in the folders of sources, absolute; nothing that a build makes.</summary>
    /// <param name="pattern">"*.cs" for instance.</param>
    public static IEnumerable<string> Files(string pattern) =>
        Directory.EnumerateFiles(Root, pattern).Concat(_ownFolders.SelectMany(folder => Below(Path.Combine(Root, folder), pattern)));

    /// <summary>A path as a message shows it.</summary>
    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    private static IEnumerable<string> Below(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).Concat(
            from child in Directory.EnumerateDirectories(folder)
            let name = Path.GetFileName(child)
            where name[0] != '.' && !_builtFolders.Contains(name)
            from file in Below(child, pattern)
            select file);

    private static string FindRoot(string folder)
    {
        for (DirectoryInfo? candidate = new(folder); candidate is not null; candidate = candidate.Parent)
        {
            if (File.Exists(Path.Combine(candidate.FullName, "Lab.sln"))) return candidate.FullName;
        }

        throw new DirectoryNotFoundException($"No folder above {folder} holds Lab.sln.");
    }
}
