using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports.Sections;

/// <summary>How well each trained model does the twenty tasks: a row for each task, a column for each model that was asked.</summary>
internal static class TaskSection
{
    private const string Field = "task_accuracies";

    public static Markup Render(ReportData data)
    {
        List<(string Label, Dictionary<string, Struct> Tasks)> models = [.. data.Run.Steps.Select(step => (StepLabels.Of(step), Tasks(step))).Where(model => model.Item2.Count > 0)];
        if (models.Count == 0) return Markup.Empty;
        return Markup.Of($"""
            <section>
            <h2>Tasks</h2>
            <p class="note">Share of held-out prompts, whose layouts are in no program of idioms though their words are, whose answer had a higher logit than the alternative; chance is 50 %. Small print: the mean of log p(answer) - log p(alternative), in nats.</p>
            <div class="scroll"><table>
            <thead><tr><th>task</th>{models.Select(model => Markup.Of($"""<th class="n {data.StyleOf(model.Label)}">{model.Label}</th>"""))}</tr></thead>
            <tbody>
            {models[0].Tasks.Keys.Select(task => Markup.Of($"""
            <tr><th scope="row">{task}</th>{models.Select(model => Cell(model.Tasks.GetValueOrDefault(task)))}</tr>

            """))}
            <tr><th scope="row">mean</th>{models.Select(model => Markup.Of($"""<td class="n">{Numbers.Percent(Mean(model.Tasks.Values))}</td>"""))}</tr>
            </tbody></table></div>
            </section>
            """);
    }

    private static Dictionary<string, Struct> Tasks(StepRun step) =>
        step.Outputs?.Fields.TryGetValue(Field, out Value? list) == true && list.KindCase == Value.KindOneofCase.ListValue
            ? list.ListValue.Values.Select(value => value.StructValue).Where(task => task is not null).ToDictionary(task => task.Fields["task"].StringValue, StringComparer.Ordinal)
            : [];

    private static Markup Cell(Struct? task) =>
        Markup.Of($"""<td class="n">{Numbers.Percent(Number(task, "accuracy"))} <small>{Numbers.Measure(Number(task, "mean_log_odds"))}</small></td>""");

    private static double? Mean(IEnumerable<Struct> tasks) => tasks.Select(task => Number(task, "accuracy")).Average();

    private static double? Number(Struct? task, string field) =>
        task?.Fields.TryGetValue(field, out Value? value) == true && value.KindCase == Value.KindOneofCase.NumberValue ? value.NumberValue : null;
}
