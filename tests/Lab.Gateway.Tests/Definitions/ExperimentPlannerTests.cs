using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Tests.Definitions;

public sealed class ExperimentPlannerTests
{
    private const string Head = """
        name: e
        parameters:
          seed: { type: int, default: 3, minimum: 0, maximum: 9 }
          rate: { type: number, default: 0.5 }
          text: { type: string, default: x }
          flag: { type: bool, default: true }

        """;

    private static readonly ExperimentPlanner Planner = new(new OperationRegistry([new FakeOperation("do.it")]));

    [Fact]
    public void Plan_ForEach_FansOutInOrderWithNeeds()
    {
        ExperimentPlan plan = Planner.Plan(Head + """
            steps:
              - { id: b, operation: do.it, for_each: { x: "${steps.a.value}", y: 2 }, with: { value: "${item}", key: "k-${key}" } }
              - { id: a, operation: do.it, with: { value: "${parameters.seed}" } }
              - { id: c, operation: do.it, for_each: ["${parameters.seed}", 4], with: { value: "${steps.b[y].value}", n: "${item}" }, needs: [a] }
              - { id: d, operation: do.it, with: { value: "${steps.c[*].value}" } }
            """, null);

        plan.Steps.Select(s => s.Id).ShouldBe(["b[x]", "b[y]", "a", "c[3]", "c[4]", "d"]);
        plan.Steps.ToDictionary(s => s.Id, s => string.Join(' ', s.Needs.Order())).ShouldBe(new Dictionary<string, string>
        {
            ["b[x]"] = "a",
            ["b[y]"] = "",
            ["a"] = "",
            ["c[3]"] = "a b[y]",
            ["c[4]"] = "a b[y]",
            ["d"] = "c[3] c[4]",
        });
        CanonicalJson.Write(plan.ResolveInputs(plan.Steps[0], id => new JsonObject { ["value"] = id })).ShouldBe("""{"key":"k-x","value":"a"}""");
        CanonicalJson.Write(plan.ResolveInputs(plan.Steps[4], id => new JsonObject { ["value"] = id })).ShouldBe("""{"n":4,"value":"b[y]"}""");
        CanonicalJson.Write(plan.ResolveInputs(plan.Steps[5], id => new JsonObject { ["value"] = id })).ShouldBe("""{"value":["c[3]","c[4]"]}""");
    }

    [Fact]
    public void Plan_Parameters_TakesGivenThenDefaults()
    {
        ExperimentPlan plan = Planner.Plan(Head + "steps: [{ id: a, operation: do.it }]", Given("""{"seed": 7, "flag": false}"""));

        CanonicalJson.Write(plan.Parameters).ShouldBe("""{"flag":false,"rate":0.5,"seed":7,"text":"x"}""");
    }

    [Theory]
    [InlineData("""{"seed": "7"}""", "parameters.seed", "whole number")]
    [InlineData("""{"seed": 1.5}""", "parameters.seed", "whole number")]
    [InlineData("""{"seed": -1}""", "parameters.seed", "at least 0")]
    [InlineData("""{"seed": 10}""", "parameters.seed", "at most 9")]
    [InlineData("""{"seed": null}""", "parameters.seed", "whole number")]
    [InlineData("""{"rate": true}""", "parameters.rate", "a number")]
    [InlineData("""{"text": 5}""", "parameters.text", "a text")]
    [InlineData("""{"flag": "yes"}""", "parameters.flag", "true or false")]
    [InlineData("""{"sede": 1}""", "parameters.sede", "is no parameter")]
    public void Plan_WrongParameter_NamesIt(string given, string field, string description) =>
        Fault(Head + "steps: [{ id: a, operation: do.it }]", Given(given)).ShouldBe(field, description);

    [Theory]
    [InlineData("name: e\nsteps: [}", "yaml", "line 2, column 9")]
    [InlineData("- a", "yaml", "must be a mapping")]
    [InlineData("", "yaml", "must be a mapping")]
    [InlineData("name: E!\nsteps: [{ id: a, operation: do.it }]", "name", "(line 1)")]
    [InlineData("steps: [{ id: a, operation: do.it }]", "name", "is required")]
    [InlineData("name: e", "steps", "at least one")]
    [InlineData("name: e\nsteps: {}", "steps", "must be a list")]
    [InlineData("name: e\nsteps: [3]", "steps[0]", "must be a mapping")]
    [InlineData("name: e\nstep: 1\nsteps: [{ id: a, operation: do.it }]", "step", "is unknown; known here are description, name, parameters, report, steps (line 2)")]
    [InlineData("name: e\nsteps:\n- id: a\n  operation: do.it\n  wiht: {}", "steps[0].wiht", "(line 5)")]
    [InlineData("name: e\nsteps:\n- { id: a, operation: do.it }\n- { id: a, operation: do.it }", "steps[1].id", "another step's ID")]
    [InlineData("name: e\nsteps: [{ id: a b, operation: do.it }]", "steps[0].id", "must be letters")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.what }]", "steps[0].operation", "there are do.it")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { wrong: 1 } }]", "steps[0].with.wrong", "is wrong")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { x: [\"${steps.b.value}\"] } }]", "steps[0].with.x[0]", "refers to no step; there are a")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { x: \"${parameters.p}\" } }]", "steps[0].with.x", "refers to no parameter")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { x: \"${what}\" } }]", "steps[0].with.x", "is not a reference")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { x: \"${item}\" } }]", "steps[0].with.x", "for_each")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, for_each: [1], with: {} }, { id: b, operation: do.it, with: { x: \"${steps.a.value}\" } }]", "steps[1].with.x", "a[*] or a[1]")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, for_each: [1] }, { id: b, operation: do.it, with: { x: \"${steps.a[2].value}\" } }]", "steps[1].with.x", "names no entry")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it }, { id: b, operation: do.it, with: { x: \"${steps.a[2].value}\" } }]", "steps[1].with.x", "has no for_each")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it }, { id: b, operation: do.it, with: { x: \"${steps.a.vlaue}\" } }]", "steps[1].with.x", "no output of do.it")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, for_each: 3 }]", "steps[0].for_each", "list or a mapping")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, for_each: [1, 1.0] }]", "steps[0].for_each[1]", "twice")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, for_each: [[1]] }]", "steps[0].for_each[0]", "must be named")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, needs: [b] }]", "steps[0].needs[0]", "no step \"b\"")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, needs: [c] }, { id: b, operation: do.it, with: { x: \"${steps.a.value}\" } }, { id: c, operation: do.it, needs: [b] }]", "steps[0]", "a needs c needs b needs a")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it, with: { x: \"${steps.a.value}\" } }]", "steps[0]", "waits for itself")]
    [InlineData("name: e\nparameters: { p: { type: integer } }\nsteps: [{ id: a, operation: do.it }]", "parameters.p.type", "int, number, numbers, string, bool")]
    [InlineData("name: e\nparameters: { p: { type: int, default: x } }\nsteps: [{ id: a, operation: do.it }]", "parameters.p.default", "whole number")]
    [InlineData("name: e\nparameters: { p: { type: int } }\nsteps: [{ id: a, operation: do.it }]", "parameters.p", "has no default")]
    [InlineData("name: e\nparameters: { p: 3 }\nsteps: [{ id: a, operation: do.it }]", "parameters.p", "must be a mapping")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it }]\nreport: { metrics: { m: \"${steps.b.value}\" } }", "report.metrics.m", "refers to no step")]
    [InlineData("name: e\nsteps: [{ id: a, operation: do.it }]\nreport: { metrics: { m: { sum: [1] } } }", "report.metrics.m", "must be a number")]
    public void Plan_WrongDefinition_NamesFieldAndLine(string yaml, string field, string description) =>
        Fault(yaml).ShouldBe(field, description);

    [Fact]
    public void Plan_SeveralFaults_ReportsAll()
    {
        InvalidRequestException fault = Should.Throw<InvalidRequestException>(() => Planner.Plan("""
            name: e
            parameters: { seed: { type: int, default: 1 } }
            steps:
              - { id: a, operation: nothing, with: { x: "${parameters.sed}" } }
              - { id: b, operation: do.it, wiht: {} }
            """, Given("""{"seed": "x", "other": 1}""")));

        fault.Violations.Select(v => v.Field).ShouldBe(
            ["steps[1].wiht", "parameters.seed", "parameters.other", "steps[0].with.x", "steps[0].operation"], ignoreOrder: true);
    }

    [Fact]
    public void Plan_MoreThanOneMebibyte_IsRefused() =>
        Fault("# " + new string('é', 1 << 19)).ShouldBe("yaml", "1 MiB");

    private static Struct Given(string json) => Struct.Parser.ParseJson(json);

    private static Violation Fault(string yaml, Struct? given = null) =>
        new(Should.Throw<InvalidRequestException>(() => Planner.Plan(yaml, given)).Violations);

    private sealed record Violation(IReadOnlyList<FieldViolation> All)
    {
        public void ShouldBe(string field, string description)
        {
            StringBuilder text = new StringBuilder().AppendJoin('\n', All);
            All.ShouldContain(v => v.Field == field && v.Description.Contains(description, StringComparison.Ordinal), text.ToString());
        }
    }
}
