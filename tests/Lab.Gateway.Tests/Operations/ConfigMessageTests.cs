using System.Text.Json.Nodes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.SparseTraining.V1;

namespace Lab.Gateway.Tests.Operations;

public sealed class ConfigMessageTests
{
    [Fact]
    public void Parse_RightConfig_ReadsEveryField()
    {
        JsonObject json = JsonNode.Parse("""
            {"corpus": "sha256:x", "seed": 5, "checkpoints": {"time_interval": "90s"}, "model": {"n_layers": 3, "attention_sink": true, "activation_fraction": 0.5},
             "recipe": {"steps": "900", "gradient_scaling": "GRADIENT_SCALING_CLIP", "target_held_out_loss": 2.25, "learning_rate": null}}
            """)!.AsObject();

        Faults(json).ShouldBeEmpty();
        ConfigMessage.Parse<TrainingConfig>(json).ShouldBe(new TrainingConfig
        {
            Corpus = "sha256:x",
            Seed = 5,
            Checkpoints = new CheckpointConfig { TimeInterval = new Google.Protobuf.WellKnownTypes.Duration { Seconds = 90 } },
            Model = new ModelConfig { NLayers = 3, AttentionSink = true, ActivationFraction = 0.5 },
            Recipe = new RecipeConfig { Steps = 900, GradientScaling = GradientScaling.Clip, TargetHeldOutLoss = 2.25 },
        });
    }

    [Theory]
    [InlineData("""{"corpse": 1}""", "with.corpse: is unknown; known here are corpus, model, recipe, seed, output_name")]
    [InlineData("""{"recipe": {"stepz": 1}}""", "with.recipe.stepz: is unknown")]
    [InlineData("""{"recipe": {"steps": 1.5}}""", "with.recipe.steps: must be a whole number")]
    [InlineData("""{"recipe": {"steps": true}}""", "with.recipe.steps: must be a whole number")]
    [InlineData("""{"recipe": {"batch_size": 3000000000}}""", "with.recipe.batch_size: must be a whole number of 32 bits")]
    [InlineData("""{"recipe": {"learning_rate": "fast"}}""", "with.recipe.learning_rate: must be a number")]
    [InlineData("""{"recipe": {"sharkfin": 1}}""", "with.recipe.sharkfin: must be true or false")]
    [InlineData("""{"recipe": {"gradient_scaling": "CLIP"}}""", "with.recipe.gradient_scaling: must be one of GRADIENT_SCALING_UNSPECIFIED")]
    [InlineData("""{"recipe": 3}""", "with.recipe: must be a mapping")]
    [InlineData("""{"corpus": 3}""", "with.corpus: must be a text")]
    [InlineData("""{"checkpoints": {"time_interval": 60}}""", "with.checkpoints.time_interval: must be a Duration, such as \"600s\"")]
    [InlineData("""{"interventions": [null]}""", "with.interventions[0]: must not be empty")]
    [InlineData("""{"model": {"n_layers": [2]}}""", "with.model.n_layers: must be a whole number of 32 bits")]
    public void Check_WrongField_NamesIt(string json, string fault) =>
        Faults(JsonNode.Parse(json)!.AsObject()).ShouldHaveSingleItem().ShouldStartWith(fault);

    [Fact]
    public void Check_TwoOfAOneof_AreRefused()
    {
        Violations violations = new();
        ConfigMessage.Check(CorpusConfig.Descriptor, JsonNode.Parse("""{"generated": {}, "folder": {"path": "x"}}"""), "with", violations);

        violations.ShouldHaveSingleItem().Description.ShouldBe("cannot be set together with generated");
    }

    [Fact]
    public void Check_Lists_NameTheEntry()
    {
        Violations violations = new();
        ConfigMessage.Check(Protos.CircuitAnalysis.V1.PruningConfig.Descriptor, JsonNode.Parse("""{"node_penalties": [1e-4, "x", true]}"""), "with", violations);

        violations.Select(v => v.Field).ShouldBe(["with.node_penalties[1]", "with.node_penalties[2]"]);
    }

    [Fact]
    public void Check_ReferencesThatAreNotKnownYet_Pass() =>
        Faults(JsonNode.Parse("""{"corpus": "${steps.a.b}", "recipe": {"steps": "${steps.a.n}"}, "model": "${steps.a.model}"}""")!.AsObject()).ShouldBeEmpty();

    [Fact]
    public void ToJson_Message_HasProtoNamesDefaultsAndNumbers()
    {
        JsonObject json = ProtoJson.ToJson(new Protos.CircuitAnalysis.V1.PruningRun
        {
            Circuit = "sha256:x",
            Evaluation = new Protos.CircuitAnalysis.V1.CircuitEvaluation { Edges = 1348, TotalEdges = long.MaxValue, Loss = double.NaN },
        });

        CanonicalJson.Write(json["evaluation"]!["edges"]).ShouldBe("1348");
        CanonicalJson.Write(json["evaluation"]!["total_edges"]).ShouldBe("\"9223372036854775807\"");
        CanonicalJson.Write(json["evaluation"]!["target_reached"]).ShouldBe("false");
        CanonicalJson.Write(json["evaluation"]!["loss"]).ShouldBe("\"NaN\"");
        JsonNumbers.AsNumber(json["evaluation"]!["loss"]).ShouldBe(double.NaN);
    }

    [Theory]
    [InlineData("python-stdlib", """{"python_standard_library":{},"seed":1}""")]
    [InlineData("generated", """{"generated":{},"seed":1}""")]
    [InlineData("/home/me/src", """{"folder":{"path":"/home/me/src"},"seed":1}""")]
    public void Rewrite_Source_BecomesTheConfigsOwnField(string source, string json) =>
        CanonicalJson.Write(CorpusSource.Rewrite(new JsonObject { ["source"] = source, ["seed"] = 1 })).ShouldBe(json);

    private static string[] Faults(JsonObject json)
    {
        Violations violations = new();
        ConfigMessage.Check(TrainingConfig.Descriptor, json, "with", violations);
        return [.. violations.Select(v => $"{v.Field}: {v.Description}")];
    }
}
