using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Tests.Definitions;

public sealed class CanonicalJsonTests
{
    [Theory]
    [InlineData("""{"b": 1, "a": 2}""", """{"a":2,"b":1}""")]
    [InlineData("""{"a": 3.0, "b": 3e0, "c": null}""", """{"a":3,"b":3}""")]
    [InlineData("[0.1, -0.0, 1e-7, 123456789012]", "[0.1,0,1E-07,123456789012]")]
    [InlineData("\"é<\\n\"", "\"é<\\n\"")]
    public void Write_EqualValues_GivesOneText(string json, string canonical) =>
        CanonicalJson.Write(JsonNode.Parse(json)).ShouldBe(canonical);

    [Fact]
    public void Write_LongAndDouble_AreAlike() =>
        CanonicalJson.Write(JsonValue.Create(300L)).ShouldBe(CanonicalJson.Write(JsonValue.Create(300.0)));
}
