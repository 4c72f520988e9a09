using System.Xml.Linq;

namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>Rules for all files.</summary>
public sealed class SourceTests
{
    private const int MaxLines = 300;

    [Fact]
    public void CSharpFiles_Lines_AreAtMost300()
    {
        string[] files = [.. Repository.Files("*.cs")];
        files.Length.ShouldBeGreaterThan(100);
        (from file in files let lines = File.ReadLines(file).Count() where lines > MaxLines select $"{Repository.Relative(file)}: {lines} lines").ShouldBeEmpty();
    }

    [Fact]
    public void PackageVersions_Places_AreTheCentralFileOnly()
    {
        string[] files = [.. new[] { "*.csproj", "*.props", "*.targets" }.SelectMany(Repository.Files)];
        string[] places =
        [
            .. from file in files
               let document = XDocument.Load(file)
               where document.Descendants("PackageVersion").Any() || document.Descendants("PackageReference").Any(HasVersion)
               select Repository.Relative(file),
        ];
        places.ShouldBe(["Directory.Packages.props"]);
    }

    private static bool HasVersion(XElement reference) =>
        new[] { "Version", "VersionOverride" }.Any(name => reference.Attribute(name) is not null || reference.Element(name) is not null);
}
