using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;

namespace Lab.Gateway.Tests.Definitions;

public sealed class MetricExpressionTests
{
    [Theory]
    [InlineData("2.5", 2.5)]
    [InlineData("\"1348\"", 1348)]
    [InlineData("true", 1)]
    [InlineData("""{"ratio": [6, 4]}""", 1.5)]
    [InlineData("""{"ratio": [1, 0]}""", double.PositiveInfinity)]
    [InlineData("""{"mean": [1, 2, 6]}""", 3)]
    [InlineData("""{"mean": [[1, 2], 6]}""", 3)]
    [InlineData("""{"mean": [{"ratio": [1, 2]}, 1.5]}""", 1)]
    public void Evaluate_OfNumbers_GivesValue(string json, double value) =>
        MetricExpression.Evaluate(JsonNode.Parse(json)).ShouldBe(value);

    [Theory]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("""{"ratio": [1, "x"]}""")]
    [InlineData("""{"mean": [1, null]}""")]
    [InlineData("""{"mean": []}""")]
    public void Evaluate_OfOthers_GivesNull(string json) => MetricExpression.Evaluate(JsonNode.Parse(json)).ShouldBeNull();

    [Theory]
    [InlineData("""{"mean": []}""", true)]
    [InlineData("""{"mean": [[], []]}""", true)]
    [InlineData("""{"mean": [[], 1]}""", false)]
    [InlineData("""{"mean": ["x"]}""", false)]
    [InlineData("2.5", false)]
    [InlineData("null", false)]
    public void IsEmpty_MeanOfListsWithoutEntries_IsTrue(string json, bool expected) => MetricExpression.IsEmpty(JsonNode.Parse(json)).ShouldBe(expected);

    [Fact]
    public void Evaluate_MeanOfList_TakesItsEntries() =>
        MetricExpression.Evaluate(new JsonObject { ["mean"] = new JsonArray(2, 4) }).ShouldBe(3);

    [Theory]
    [InlineData("""{"ratio": [1]}""", "list of two")]
    [InlineData("""{"ratio": 1}""", "list of two")]
    [InlineData("""{"mean": []}""", "list")]
    [InlineData("""{"sum": [1, 2]}""", "must be")]
    [InlineData("""{"mean": [{"sum": []}]}""", "must be")]
    [InlineData("true", "must be")]
    [InlineData("null", "must be")]
    public void Fault_OfWrongForm_SaysWhat(string json, string fault) =>
        MetricExpression.Fault(JsonNode.Parse(json)).ShouldNotBeNull().ShouldContain(fault);

    [Fact]
    public void Fault_OfRightForm_IsNull() =>
        MetricExpression.Fault(JsonNode.Parse("""{"mean": ["${steps.a[*].x}", {"ratio": [1, "${steps.b.y}"]}]}""")).ShouldBeNull();
}
