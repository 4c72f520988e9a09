using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;
using YamlDotNet.Core;

namespace Lab.Gateway.Tests.Definitions;

public sealed class YamlReaderTests
{
    [Theory]
    [InlineData("3", "3")]
    [InlineData("-7", "-7")]
    [InlineData("1.28e-2", "0.0128")]
    [InlineData("1e3", "1000")]
    [InlineData(".5", "0.5")]
    [InlineData("true", "true")]
    [InlineData("~", "null")]
    [InlineData("'3'", "\"3\"")]
    [InlineData("\"true\"", "\"true\"")]
    [InlineData("3-layer", "\"3-layer\"")]
    [InlineData("${steps.a.b}", "\"${steps.a.b}\"")]
    [InlineData("99999999999999999999", "1E+20")]
    public void Read_Scalar_HasTypeOfCoreSchema(string yaml, string json) =>
        CanonicalJson.Write(YamlReader.Read($"v: {yaml}").Root!["v"]).ShouldBe(json);

    [Fact]
    public void Read_Nested_GivesJsonAndLines()
    {
        YamlDocument document = YamlReader.Read("a:\n  - x: 1\n    y: [2, 3]\n  - z\n");

        JsonNode.DeepEquals(document.Root, JsonNode.Parse("""{"a":[{"x":1,"y":[2,3]},"z"]}""")).ShouldBeTrue();
        document.LineOf("a[0].y").ShouldBe(3);
        document.LineOf("a[1]").ShouldBe(4);
        document.LineOf("a[0].y[9].unknown").ShouldBe(3);
    }

    [Theory]
    [InlineData("a: [1, 2", 2)]
    [InlineData("a: 1\n b: 2", 2)]
    [InlineData("a: 1\na: 2", 2)]
    [InlineData("a: &x 1\nb: *x", 1)]
    [InlineData("a: *x", 1)]
    [InlineData("a: !!python/object 1", 1)]
    [InlineData("a: 1\n---\nb: 2", 2)]
    [InlineData("? [1]\n: 2", 1)]
    public void Read_Refused_SaysLine(string yaml, long line) =>
        Should.Throw<YamlException>(() => YamlReader.Read(yaml)).Start.Line.ShouldBe(line);

    [Fact]
    public void Read_NestedTooDeep_IsRefused() =>
        Should.Throw<YamlException>(() => YamlReader.Read(new string('[', 100_000))).Message.ShouldContain("nested deeper");

    [Fact]
    public void Read_TooManyValues_IsRefused() =>
        Should.Throw<YamlException>(() => YamlReader.Read($"[{string.Join(',', Enumerable.Repeat('1', 30_000))}]")).Message.ShouldContain("more than 20000");
}
