using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Lab.CircuitAnalysis.Pruning;
using Lab.CircuitAnalysis.Reports;
using Lab.Models;

namespace Lab.CircuitAnalysis.Tests.Reports;

public sealed class CircuitFilesTests
{
    private static readonly CircuitHeader _header = new("single_double_quote", "models/a \"b\"", "corpora/c", 0.15, 42);

    [Fact]
    public void Json_AnyCulture_IsTheSameBytes()
    {
        CultureInfo culture = CultureInfo.CurrentCulture;
        byte[] expected = Json();
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = "," } };
            Json().ShouldBe(expected);
            Dot().ShouldContain("loss 0.125");
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Fact]
    public void Json_Circuit_HasEveryFieldInItsPlace()
    {
        using JsonDocument json = JsonDocument.Parse(Json());
        JsonElement root = json.RootElement;

        root.EnumerateObject().Select(p => p.Name).ShouldBe(["task", "model", "corpus", "target_loss", "seed", "evaluation", "nodes", "edges_total", "edges"]);
        root.GetProperty("evaluation").EnumerateObject().Select(p => p.Name).ShouldBe(
            Lab.Protos.CircuitAnalysis.V1.CircuitEvaluation.Descriptor.Fields.InDeclarationOrder().Select(field => field.Name));
        JsonElement node = root.GetProperty("nodes")[1];
        node.GetProperty("id").GetString().ShouldBe("blocks.0.attn.hook_v:3");
        node.GetProperty("hook").GetString().ShouldBe("blocks.0.attn.hook_v");
        node.GetProperty("site").GetString().ShouldBe("attn.v");
        node.GetProperty("channel").GetInt32().ShouldBe(3);
        node.GetProperty("head").GetInt32().ShouldBe(1);
        root.GetProperty("nodes")[0].GetProperty("head").ValueKind.ShouldBe(JsonValueKind.Null);
        root.GetProperty("edges_total").GetInt64().ShouldBe(7);
        root.GetProperty("edges")[0].GetProperty("weight").GetSingle().ShouldBe(-0.5f);
    }

    [Fact]
    public void Dot_Circuit_IsBalancedAndDeclaresEveryNode()
    {
        string dot = Dot();

        dot.Count(c => c == '{').ShouldBe(dot.Count(c => c == '}'));
        Regex.Replace(dot, @"\\.", "").Count(c => c == '"').ShouldSatisfyAllConditions(quotes => (quotes % 2).ShouldBe(0));
        string[] declared = [.. Regex.Matches(dot, "^    \"([^\"]+)\" \\[", RegexOptions.Multiline).Select(match => match.Groups[1].Value)];
        declared.ShouldBe(["blocks.0.attn.hook_read:2", "blocks.0.attn.hook_v:3"]);
        Match edge = Regex.Matches(dot, "\"([^\"]+)\" -> \"([^\"]+)\" \\[color=\"(#[0-9a-f]{6})\"").ShouldHaveSingleItem();
        declared.ShouldContain(edge.Groups[1].Value);
        declared.ShouldContain(edge.Groups[2].Value);
        edge.Groups[3].Value.ShouldBe("#c53030");
        dot.ShouldContain("L0 attn.v h1.1");
    }

    private static byte[] Json()
    {
        using MemoryStream stream = new();
        CircuitJson.Write(stream, _header, Sample());
        return stream.ToArray();
    }

    private static string Dot()
    {
        using StringWriter writer = new();
        CircuitDot.Write(writer, _header, Sample());
        return writer.ToString();
    }

    private static Circuit Sample()
    {
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        NodeSite read = layout[0, SiteKind.AttnRead], value = layout[0, SiteKind.Value];
        return new Circuit(
            new CircuitMeasurement
            {
                TaskAccuracy = 1,
                TaskLoss = 0.01,
                Nodes = 2,
                TotalNodes = layout.Count,
                Edges = 7,
                TotalEdges = 20,
                Loss = 0.125,
                LossWithout = 0.9,
                RandomLoss = 0.69,
                RandomLossStddev = 0.02,
                ZeroAblationLoss = 0.2,
                CircuitAccuracy = 0.99,
                TestLoss = 0.13,
                TargetReached = true,
            },
            [
                new CircuitNode(read.Id(read.First + 2), read, 2, read.Head(read.First + 2), 0.4f, 0.12, 0.03f),
                new CircuitNode(value.Id(value.First + 3), value, 3, value.Head(value.First + 3), -0.1f, 0.5, 0f),
            ],
            [new CircuitEdge(read.Id(read.First + 2), value.Id(value.First + 3), -0.5f)]);
    }
}
