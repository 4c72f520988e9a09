using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;

namespace Lab.Gateway.Tests.Operations;

public sealed class ExpansionInputsTests
{
    [Theory]
    [InlineData("""{"expansion_factor":4,"pfrac":0.5,"model":{"d_model":32,"n_layers":2},"recipe":{"steps":3}}""",
        """{"model":{"d_model":128,"n_layers":2},"recipe":{"bias_fraction":0.125,"embedding_fraction":0.125,"steps":3,"weight_fraction":0.03125}}""")]
    [InlineData("""{"expansion_factor":2,"model":{"d_mlp":100}}""", """{"model":{"d_mlp":200,"d_model":256}}""")]
    [InlineData("""{"pfrac":2,"recipe":{"bias_fraction":1}}""", """{"model":{"d_model":128},"recipe":{"bias_fraction":1,"embedding_fraction":1,"weight_fraction":1}}""")]
    [InlineData("""{"expansion_factor":"${item.ef}","pfrac":1,"model":{"d_model":32}}""", """{"model":{"d_model":32}}""")]
    [InlineData("""{"expansion_factor":2,"model":"${steps.a.model}"}""", """{"model":"${steps.a.model}"}""")]
    [InlineData("""{"model":{"d_model":32}}""", """{"model":{"d_model":32}}""")]
    public void Rewrite_FactorAndShare_BecomeWidthsAndFractions(string with, string expected)
    {
        JsonObject given = JsonNode.Parse(with)!.AsObject();

        CanonicalJson.Write(ExpansionInputs.Rewrite(given)).ShouldBe(expected);

        CanonicalJson.Write(given).ShouldBe(CanonicalJson.Write(JsonNode.Parse(with)), "the step's own inputs stay as they are");
    }

    [Theory]
    [InlineData("""{"expansion_factor":"wide"}""", "with.expansion_factor: must be a number above 0")]
    [InlineData("""{"expansion_factor":0}""", "with.expansion_factor: must be a number above 0")]
    [InlineData("""{"pfrac":-0.5}""", "with.pfrac: must be a number above 0")]
    [InlineData("""{"expansion_factor":0.001}""", "with.expansion_factor: leaves nothing of model.d_model")]
    [InlineData("""{"expansion_factor":0.125,"model":{"d_model":64,"d_mlp":2}}""", "with.expansion_factor: leaves nothing of model.d_mlp")]
    public void Check_WrongFactorOrShare_NamesIt(string with, string fault) => Faults(with).ShouldBe([fault]);

    [Theory]
    [InlineData("""{"expansion_factor":"${item.ef}","pfrac":"${item.pfrac}"}""")]
    [InlineData("""{"expansion_factor":0.5,"pfrac":4,"model":{"d_model":2}}""")]
    [InlineData("""{"expansion_factor":2,"model":"${steps.a.model}"}""")]
    [InlineData("{}")]
    public void Check_RightOrUnknownYet_Passes(string with) => Faults(with).ShouldBeEmpty();

    private static string[] Faults(string with)
    {
        Violations violations = new();
        ExpansionInputs.Check(JsonNode.Parse(with)!.AsObject(), "with", violations);
        return [.. violations.Select(violation => $"{violation.Field}: {violation.Description}")];
    }
}
