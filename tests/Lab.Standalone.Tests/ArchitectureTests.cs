using System.Reflection;

namespace Lab.Standalone.Tests;

public sealed class ArchitectureTests
{
    private static readonly string[] _parts = ["Lab.ModelHost", "Lab.SparseTraining", "Lab.BridgeAlignment", "Lab.CircuitAnalysis", "Lab.Gateway"];

    [Theory]
    [InlineData("Lab.ModelHost")]
    [InlineData("Lab.SparseTraining")]
    [InlineData("Lab.BridgeAlignment")]
    [InlineData("Lab.CircuitAnalysis")]
    [InlineData("Lab.Gateway")]
    public void Part_References_NoOtherPart(string part) => ReferencesOf(part).Intersect(_parts).ShouldBeEmpty();

    [Theory]
    [InlineData("Lab.Protos")]
    [InlineData("Lab.Artifacts")]
    [InlineData("Lab.Tensors")]
    [InlineData("Lab.Models")]
    [InlineData("Lab.ServiceDefaults")]
    public void SharedLibrary_References_NoPart(string library) => ReferencesOf(library).Intersect(_parts).ShouldBeEmpty();

    [Fact]
    public void Standalone_References_AllParts() => ReferencesOf("lab").Intersect(_parts).ShouldBe(_parts, ignoreOrder: true);

    [Theory]
    [InlineData("Lab.Models")]
    [InlineData("Lab.Artifacts")]
    public void CoreLibrary_References_NoGrpc(string library) =>
        ReferencesOf(library).ShouldNotContain(name => name.StartsWith("Grpc.", StringComparison.Ordinal) || name.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));

    private static IEnumerable<string> ReferencesOf(string assembly) => Assembly.Load(assembly).GetReferencedAssemblies().Select(reference => reference.Name!);
}
