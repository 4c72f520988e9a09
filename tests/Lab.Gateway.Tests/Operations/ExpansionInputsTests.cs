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
    [InlineData("""{"model":{"d_model":32}}""", """{"model":{"d_model":32}}""")]
    public void Rewrite_FactorAndShare_BecomeWidthsAndFractions(string with, string expected)
    {
        JsonObject given = JsonNode.Parse(with)!.AsObject();

        CanonicalJson.Write(ExpansionInputs.Rewrite(given)).ShouldBe(expected);

        CanonicalJson.Write(given).ShouldBe(CanonicalJson.Write(JsonNode.Parse(with)), "the step's own inputs stay as they are");
    }
}
