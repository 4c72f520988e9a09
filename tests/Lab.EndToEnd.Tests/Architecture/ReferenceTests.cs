namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>References go one way, and each part's dependencies stay within it.</summary>
public sealed class ReferenceTests
{
    private static readonly string[] _services = ["Lab.ModelHost", "Lab.SparseTraining", "Lab.BridgeAlignment", "Lab.CircuitAnalysis"];
    private static readonly string[] _ofServices = ["Lab.ServiceDefaults", "Lab.Models"];

    /// <summary>The projects that each project may refer to.</summary>
    private static readonly Dictionary<string, string[]> _allowed = new()
    {
        ["Lab.Protos"] = [],
        ["Lab.Artifacts"] = [],
        ["Lab.Tensors"] = ["Lab.Protos"],
        ["Lab.ServiceDefaults"] = ["Lab.Protos"],
        ["Lab.Models"] = ["Lab.Tensors", "Lab.Artifacts"],
        ["Lab.ModelHost"] = _ofServices,
        ["Lab.SparseTraining"] = _ofServices,
        ["Lab.BridgeAlignment"] = _ofServices,
        ["Lab.CircuitAnalysis"] = _ofServices,
        ["Lab.Gateway"] = ["Lab.ServiceDefaults", "Lab.Artifacts"],
        ["Lab.Standalone"] = [.. _services, "Lab.Gateway"],
    };

    public static TheoryData<string> ProductionProjects => [.. Production.Select(project => project.Name)];

    private static IEnumerable<Project> Production => Repository.Projects.Where(project => !project.IsTest);

    [Theory]
    [MemberData(nameof(ProductionProjects))]
    public void Project_References_AreAllowedOnes(string name)
    {
        _allowed.ShouldContainKey(name, "A new project has its place in the order of references: add it here and to the README.");
        Named(name).Projects.Except(_allowed[name]).ShouldBeEmpty();
    }

    [Fact]
    public void Standalone_References_AreAllParts() => Named("Lab.Standalone").Projects.ShouldBe([.. _services, "Lab.Gateway"], ignoreOrder: true);

    [Fact]
    public void Services_ReferencedByProduction_OnlyByStandalone() =>
        Production.Where(project => project.Projects.Intersect([.. _services, "Lab.Gateway"]).Any()).Select(project => project.Name).ShouldBe(["Lab.Standalone"]);

    [Fact]
    public void Artifacts_Dependencies_AreNone() => Named("Lab.Artifacts").Packages.ShouldBeEmpty();

    [Theory]
    [InlineData("Lab.Models")]
    [InlineData("Lab.Tensors")]
    public void CoreProject_Grpc_IsUnknown(string name)
    {
        Project project = Named(name);
        project.Packages.Where(package => package.StartsWith("Grpc.", StringComparison.Ordinal)).ShouldBeEmpty();
        project.SourceFiles.ShouldNotBeEmpty();
        project.SourceFiles.Where(file => File.ReadAllText(file).Contains("Grpc.", StringComparison.Ordinal)).Select(Repository.Relative).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("Microsoft.Orleans.")]
    [InlineData("Yarp.")]
    public void GatewayPackage_Users_AreTheGatewayAndItsTests(string prefix)
    {
        string[] users = [.. Repository.Projects.Where(project => project.Packages.Any(package => package.StartsWith(prefix, StringComparison.Ordinal))).Select(project => project.Name)];
        users.ShouldContain("Lab.Gateway");
        users.Except(["Lab.Gateway", "Lab.Gateway.Tests"]).ShouldBeEmpty();
    }

    [Fact]
    public void Solution_Projects_AreAllThereAre()
    {
        string solution = File.ReadAllText(Path.Combine(Repository.Root, "Lab.sln")).Replace('\\', '/');
        Repository.Projects.Where(project => !solution.Contains($"\"{Repository.Relative(project.Path)}\"", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    private static Project Named(string name) => Repository.Projects.Single(project => project.Name == name);
}
