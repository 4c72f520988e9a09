using System.Text.Json.Nodes;
using Lab.Gateway.Operations;

namespace Lab.Gateway.Definitions;

/// <summary>Checks what a plan refers to: operations, parameters, steps, their outputs, and that no step waits for itself.</summary>
internal sealed class PlanCheck(ExperimentPlan plan, OperationRegistry operations, Violations violations)
{
    private readonly ExperimentDefinition _definition = plan.Definition;

    public void Run()
    {
        foreach (StepDefinition step in _definition.Steps)
        {
            CheckReferences(step.ForEach, $"{step.Path}.for_each");
            CheckReferences(step.Sweep, $"{step.Path}.sweep");
            CheckReferences(step.When, $"{step.Path}.when");
            CheckReferences(step.With, $"{step.Path}.with", step, mayBeLeftOut: !plan.StepsOf(step.Id).Any());
            foreach ((int n, string need) in step.Needs.Index())
                if (need.Length > 0 && !_definition.Steps.Any(s => s.Id == need)) violations.Add($"{step.Path}.needs[{n}]", $"there is no step \"{need}\"");
            CheckOperation(step);
        }

        foreach ((string metric, JsonNode? expression) in _definition.Report.Metrics)
            CheckReferences(expression, $"report.metrics.{metric}");
        if (_definition.Report.Sweep is { } sweep) CheckSweep(sweep);
        CheckCycles();
    }

    private void CheckOperation(StepDefinition step)
    {
        if (step.Operation.Length == 0) return;
        if (operations.Find(step.Operation) is not IOperation operation)
        {
            violations.Add($"{step.Path}.operation", $"there is no operation \"{step.Operation}\"; there are {string.Join(", ", operations.Names)}");
            return;
        }
        foreach (PlannedStep planned in plan.StepsOf(step.Id).Where(p => p.Definition == step))
            operation.Validate(plan.ResolveInputs(planned, _ => null), $"{step.Path}.with", violations);
    }

    private void CheckSweep(SweepDefinition sweep)
    {
        StepDefinition? rows = _definition.Steps.FirstOrDefault(s => s.Id == sweep.Step);
        if (rows is not { HasEntries: true }) violations.Add("report.sweep.step", "must be a step with for_each or sweep");
        foreach ((string column, JsonNode? expression) in sweep.Columns)
            CheckReferences(expression, $"report.sweep.columns.{column}", rows, mayBeLeftOut: true);
    }

    /// <param name="value">What holds references.</param>
    /// <param name="path">Where it stands.</param>
    /// <param name="owner">The step whose entries know item, key and "[key]"; null for none.</param>
    /// <param name="mayBeLeftOut">Whether it may refer to steps that are left out.</param>
    private void CheckReferences(JsonNode? value, string path, StepDefinition? owner = null, bool mayBeLeftOut = false)
    {
        foreach ((string at, Reference? reference, string text) in Template.References(value, path))
        {
            string? fault = reference switch
            {
                null => "is not a reference; write ${parameters.name}, ${steps.id.output}, ${item} or ${key}",
                { IsOfEntry: true } => owner?.HasEntries == true ? null : "is known only in the inputs of a step with for_each or sweep",
                { Root: "parameters" } => FaultOfParameter(reference),
                _ => FaultOfStep(reference, owner, mayBeLeftOut),
            };
            if (fault is not null) violations.Add(at, $"{text} {fault}");
        }
    }

    private string? FaultOfParameter(Reference reference) =>
        !_definition.Parameters.Any(p => p.Name == reference.Name)
            ? $"refers to no parameter; there are {string.Join(", ", _definition.Parameters.Select(p => p.Name))}"
            : reference.Path.Count > 1 ? "goes into a parameter, which has no parts" : null;

    private string? FaultOfStep(Reference reference, StepDefinition? owner, bool mayBeLeftOut)
    {
        StepDefinition? step = _definition.Steps.FirstOrDefault(s => s.Id == reference.Name);
        if (step is null) return $"refers to no step; there are {string.Join(", ", _definition.Steps.Select(s => s.Id))}";
        if (!step.HasEntries && reference.Key is not null) return $"names an entry, but {step.Id} has no for_each";
        if (!plan.StepsOf(step.Id).Any()) return mayBeLeftOut ? null : $"refers to {step.Id}, which its `when` leaves out";
        if (step.HasEntries && reference.Key is null) return $"must say which entry: {step.Id}[*] or {string.Join(" or ", plan.StepsOf(step.Id).Select(s => s.Id))}";
        if (reference.Key == Reference.Own)
        {
            if (owner?.HasEntries != true) return "is known only in the inputs of a step with for_each or sweep";
            if (plan.StepsOf(owner.Id).FirstOrDefault(own => !plan.StepsOf(step.Id).Any(s => s.Key == own.Key)) is { } lone) return $"has no entry {lone.Key}, as {owner.Id} has";
        }
        else if (reference.Key is not (null or Reference.Every) && !plan.StepsOf(step.Id).Any(s => s.Key == reference.Key))
            return $"names no entry; there are {string.Join(", ", plan.StepsOf(step.Id).Select(s => s.Id))}";
        if (operations.Find(step.Operation) is not IOperation operation || reference.Rest.FirstOrDefault() is not string output) return null;
        return operation.OutputNames.Contains(output) ? null : $"refers to no output of {step.Operation}; it has {string.Join(", ", operation.OutputNames)}";
    }

    private void CheckCycles()
    {
        HashSet<string> done = [];
        List<PlannedStep> left = [.. plan.Steps];
        while (left.FindAll(step => step.Needs.All(done.Contains)) is { Count: > 0 } ready)
        {
            done.UnionWith(ready.Select(step => step.Id));
            _ = left.RemoveAll(ready.Contains);
        }

        // What is left waits for a cycle or is in one; follow the first until a step comes again.
        if (left.Count == 0) return;
        List<PlannedStep> way = [left[0]];
        while (true)
        {
            PlannedStep next = left.First(s => way[^1].Needs.Contains(s.Id));
            int start = way.FindIndex(s => s.Id == next.Id);
            way.Add(next);
            if (start < 0) continue;
            violations.Add(next.Definition.Path, $"the step waits for itself: {string.Join(" needs ", way.Skip(start).Select(s => s.Id))}");
            return;
        }
    }
}
