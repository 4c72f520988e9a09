using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Tests.Definitions;

public sealed class TemplateTests
{
    private static readonly JsonObject Values = JsonNode.Parse("""
        {
          "number": 0.5, "text": "a b", "list": [{"x": 1}, {"x": 2}], "some": [{}, {"x": 1}], "flag": true,
          "metrics": {"circuit.nodes": 12, "circuit": {"edges": 34}, "loss": 1.5}
        }
        """)!.AsObject();

    [Theory]
    [InlineData("${parameters.number}", "0.5")]
    [InlineData("${parameters.list}", """[{"x":1},{"x":2}]""")]
    [InlineData("${ parameters.flag }", "true")]
    [InlineData("n=${parameters.number}, ${parameters.text}", "\"n=0.5, a b\"")]
    [InlineData("${parameters.list}!", "\"[{\\\"x\\\":1},{\\\"x\\\":2}]!\"")]
    [InlineData("${parameters.list[1].x}", "2")]
    [InlineData("${parameters.list[*].x}", "[1,2]")]
    [InlineData("${parameters.some[*].x}", "[1]")]
    [InlineData("${parameters.list[*].y}", "[]")]
    [InlineData("${parameters.metrics.circuit.nodes}", "12")]
    [InlineData("${parameters.metrics.circuit.edges}", "34")]
    [InlineData("$${parameters.number}", "\"${parameters.number}\"")]
    [InlineData("${parameters.unknown}", "\"${parameters.unknown}\"")]
    [InlineData("${parameters.list[2].x}", "\"${parameters.list[2].x}\"")]
    [InlineData("plain $5", "\"plain $5\"")]
    public void Resolve_String_GivesValue(string template, string json) =>
        CanonicalJson.Write(Template.Resolve(JsonValue.Create(template), Find)).ShouldBe(json);

    [Fact]
    public void Resolve_Nested_LeavesTheOriginalAlone()
    {
        JsonNode template = JsonNode.Parse("""{"a": ["${parameters.number}", 1], "b": {"c": "x${parameters.flag}"}}""")!;
        string before = template.ToJsonString();

        CanonicalJson.Write(Template.Resolve(template, Find)).ShouldBe("""{"a":[0.5,1],"b":{"c":"xtrue"}}""");
        template.ToJsonString().ShouldBe(before);
    }

    [Theory]
    [InlineData("${unknown.x}")]
    [InlineData("${parameters}")]
    [InlineData("${parameters.}")]
    [InlineData("${parameters[0]}")]
    [InlineData("${parameters.a b}")]
    [InlineData("${key.x}")]
    [InlineData("${}")]
    [InlineData("${parameters.a")]
    public void References_Malformed_IsReportedWithoutReference(string template)
    {
        (string path, Reference? reference, _) = Template.References(JsonNode.Parse($$"""{"a": ["{{template}}"]}"""), "p").Single();

        path.ShouldBe("p.a[0]");
        reference.ShouldBeNull();
    }

    [Fact]
    public void References_OfForEachStep_HasKeyAndRest()
    {
        Reference reference = Reference.Parse("steps.prune[a/b].evaluation.edges")!;

        reference.Name.ShouldBe("prune");
        reference.Key.ShouldBe("[a/b]");
        reference.Rest.ShouldBe(["evaluation", "edges"]);
    }

    private static bool Find(Reference reference, out JsonNode? value) => Reference.TryFollow(Values, [.. reference.Path], out value);
}
