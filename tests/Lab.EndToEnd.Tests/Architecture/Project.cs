using System.Xml.Linq;

namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>What a project file says.</summary>
/// <param name="Name">The file's name without its ending.</param>
/// <param name="Path">The file, absolute.</param>
/// <param name="Projects">The projects that it refers to, by name.</param>
/// <param name="Packages">The packages that it refers to, by name.</param>
internal sealed record Project(string Name, string Path, IReadOnlyList<string> Projects, IReadOnlyList<string> Packages)
{
    public bool IsTest => Repository.Relative(Path).StartsWith("tests/", StringComparison.Ordinal);

    public IEnumerable<string> SourceFiles =>
        Repository.Files("*.cs").Where(file => file.StartsWith(System.IO.Path.GetDirectoryName(Path) + "/", StringComparison.Ordinal));

    public static Project Read(string path)
    {
        XDocument document = XDocument.Load(path);
        string[] Included(string element) => [.. document.Descendants(element).Select(reference => reference.Attribute("Include")!.Value)];
        return new Project(
            System.IO.Path.GetFileNameWithoutExtension(path), path,
            [.. Included("ProjectReference").Select(reference => System.IO.Path.GetFileNameWithoutExtension(reference))], Included("PackageReference"));
    }

    public override string ToString() => Name;
}
