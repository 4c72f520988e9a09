using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Tests.Definitions;

public sealed class SweepPlanTests
{
    private const string Head = """
        name: e
        parameters:
          widths: { type: numbers, default: [1, 2], minimum: 0.5, maximum: 8 }
          also: { type: bool, default: true }

        """;

    private const string Steps = """
        steps:
          - { id: a, operation: do.it, sweep: { w: "${parameters.widths}", n: [0.25, x] }, with: { value: "${item.w}", name: "a-${key}" } }
          - { id: b, operation: do.it, when: "${parameters.also}", sweep: { w: "${parameters.widths}", n: [0.25, x] }, with: { value: "${steps.a[key].value}" } }
        """;

    private const string Report = """

        report:
          sweep:
            step: a
            columns: { width: "${item.w}", half: { ratio: ["${steps.a[key].value}", 2] }, other: "${steps.b[key].value}" }
            charts: [{ x: width, y: half, by: [width] }, { x: other, y: half }]
        """;

    private static readonly ExperimentPlanner Planner = new(new OperationRegistry([new FakeOperation("do.it")]));

    [Fact]
    public void Plan_Sweep_HasAStepForEachCombination()
    {
        ExperimentPlan plan = Planner.Plan(Head + Steps + Report, Given("""{"widths": [1, 4]}"""));

        plan.Steps.Select(step => step.Id).ShouldBe(
            ["a[w1_n0.25]", "a[w1_nx]", "a[w4_n0.25]", "a[w4_nx]", "b[w1_n0.25]", "b[w1_nx]", "b[w4_n0.25]", "b[w4_nx]"]);
        plan.Steps[6].Needs.ShouldBe(["a[w4_n0.25]"]);
        CanonicalJson.Write(plan.ResolveInputs(plan.Steps[2], _ => null)).ShouldBe("""{"name":"a-w4_n0.25","value":4}""");
        CanonicalJson.Write(plan.ResolveInputs(plan.Steps[6], id => new JsonObject { ["value"] = id })).ShouldBe("""{"value":"a[w4_n0.25]"}""");
        SweepDefinition sweep = plan.Definition.Report.Sweep.ShouldNotBeNull();
        CanonicalJson.Write(plan.ResolveColumn(plan.Steps[3], sweep.Columns["half"], _ => new JsonObject { ["value"] = 3 })).ShouldBe("""{"ratio":[3,2]}""");
    }

    [Fact]
    public void Plan_WhenFalse_LeavesTheStepOut()
    {
        ExperimentPlan plan = Planner.Plan(Head + Steps + Report, Given("""{"also": false}"""));

        plan.Steps.Select(step => step.Id).ShouldBe(["a[w1_n0.25]", "a[w1_nx]", "a[w2_n0.25]", "a[w2_nx]"]);
        plan.Definition.Report.Sweep!.Columns.Where(column => plan.RefersToLeftOut(column.Value)).Select(column => column.Key).ShouldBe(["other"]);
    }

    [Theory]
    [InlineData("""{"widths": []}""", "parameters.widths", "a list of 1 to 256 numbers")]
    [InlineData("""{"widths": 2}""", "parameters.widths", "a list of 1 to 256 numbers")]
    [InlineData("""{"widths": [1, "2"]}""", "parameters.widths", "a list of 1 to 256 numbers")]
    [InlineData("""{"widths": [1, 9]}""", "parameters.widths", "at most 8")]
    [InlineData("""{"widths": [0.25]}""", "parameters.widths", "at least 0.5")]
    [InlineData("""{"widths": [1, 1]}""", "steps[0].sweep", "twice")]
    public void Plan_WrongNumbers_NamesThem(string given, string field, string description) => Fault(Head + Steps, Given(given)).ShouldSatisfyAllConditions(
        all => all.ShouldContain(fault => fault.Field == field && fault.Description.Contains(description, StringComparison.Ordinal), string.Join('\n', all)));

    [Theory]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: {} }]", "steps[0].sweep", "at least one list")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: 3 } }]", "steps[0].sweep.w", "list of values")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: [[1]] } }]", "steps[0].sweep.w", "list of values")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: \"${parameters.widhts}\" } }]", "steps[0].sweep.w", "refers to no parameter")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: [1] }, for_each: [1] }]", "steps[0].sweep", "together with for_each")]
    [InlineData("steps: [{ id: a, operation: do.it, when: 3 }]", "steps[0].when", "true, false")]
    [InlineData("steps: [{ id: a, operation: do.it, for_each: { key: 1 } }]", "steps[0].for_each.key", "other than \"key\"")]
    [InlineData("steps: [{ id: a, operation: do.it, when: false }, { id: b, operation: do.it, with: { x: \"${steps.a.value}\" } }]", "steps[1].with.x", "leaves out")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: [1] } }, { id: b, operation: do.it, with: { x: \"${steps.a[key].value}\" } }]", "steps[1].with.x", "for_each or sweep")]
    [InlineData("steps: [{ id: a, operation: do.it, sweep: { w: [1] } }, { id: b, operation: do.it, for_each: [1], with: { x: \"${steps.a[key].value}\" } }]", "steps[1].with.x", "has no entry [1]")]
    [InlineData("steps: [{ id: a, operation: do.it }]\nreport: { sweep: { step: a, columns: { c: 1 } } }", "report.sweep.step", "for_each or sweep")]
    [InlineData("steps: [{ id: a, operation: do.it, for_each: [1] }]\nreport: { sweep: { step: a, columns: {} } }", "report.sweep.columns", "at least one")]
    [InlineData("steps: [{ id: a, operation: do.it, for_each: [1] }]\nreport: { sweep: { step: a, columns: { c: { sum: [1] } } } }", "report.sweep.columns.c", "must be a number")]
    [InlineData("steps: [{ id: a, operation: do.it, for_each: [1] }]\nreport: { sweep: { step: a, columns: { c: \"${steps.a[key].vlaue}\" } } }", "report.sweep.columns.c", "no output of do.it")]
    [InlineData("steps: [{ id: a, operation: do.it, for_each: [1] }]\nreport: { sweep: { step: a, columns: { c: 1 }, charts: [{ x: c, y: d }] } }", "report.sweep.charts[0]", "no column \"d\"")]
    public void Plan_WrongSweep_NamesFieldAndFault(string steps, string field, string description) => Fault(Head + steps, null).ShouldSatisfyAllConditions(
        all => all.ShouldContain(fault => fault.Field == field && fault.Description.Contains(description, StringComparison.Ordinal), string.Join('\n', all)));

    private static Struct Given(string json) => Struct.Parser.ParseJson(json);

    private static IReadOnlyList<FieldViolation> Fault(string yaml, Struct? given) => Should.Throw<InvalidRequestException>(() => Planner.Plan(yaml, given)).Violations;
}
