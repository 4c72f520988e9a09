using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Reports.Sections;

/// <summary>What the circuits can do alone, what the models can do without them, and the controls.</summary>
internal static class AblationSection
{
    private const double Chance = 0.6931471805599453; // ln 2: two answers, equally likely.

    private static readonly (string Name, string Note, Func<CircuitMeasures, double?> Loss)[] _conditions =
    [
        ("Whole model", "nothing ablated", measures => measures.TaskLoss),
        ("Only the circuit", "all else at its mean: sufficiency", measures => measures.Loss),
        ("Only the circuit, new prompts", "prompts that the search never saw", measures => measures.TestLoss),
        ("Only the circuit, rest at zero", "zero instead of mean ablation", measures => measures.ZeroAblationLoss),
        ("Without the circuit", "its nodes at their means: necessity", measures => measures.LossWithout),
        ("Random circuits of that size", "control: mean and standard deviation", measures => measures.RandomLoss),
    ];

    public static Markup Render(ReportData data) => data.Circuits.Count == 0 ? Markup.Empty : Markup.Of($"""
        <section>
        <h2>Ablations and controls</h2>
        <p class="note">Binary cross-entropy between the two answers on held-out prompts, nats per sequence; chance is ln 2.</p>
        {DotPlot.Draw("Task loss under ablation", "nats per sequence", Rows(data), References(data))}
        <div class="scroll"><table>
        <thead><tr><th>condition</th><th></th>{data.Circuits.Select(circuit => Markup.Of($"""<th class="n {data.StyleOf(circuit.Label)}">{circuit.Label}</th>"""))}</tr></thead>
        <tbody>
        {_conditions.Select(condition => Row(condition.Name, condition.Note, data, measures => Loss(measures, condition.Loss(measures), condition.Name == _conditions[^1].Name)))}
        {Row("Accuracy of the whole model", "right answer above the wrong one", data, measures => Numbers.Percent(measures.TaskAccuracy))}
        {Row("Accuracy with only the circuit", "", data, measures => Numbers.Percent(measures.CircuitAccuracy))}
        {Row("Nodes", "kept, of all", data, measures => $"{Numbers.Count(measures.Nodes)} / {Numbers.Count(measures.TotalNodes)}")}
        {Row("Edges", "nonzero weights between kept nodes, of all", data, measures => $"{Numbers.Count(measures.Edges)} / {Numbers.Count(measures.TotalEdges)}")}
        {Row("Reached the target loss", "if not, the circuit is the whole model", data, measures => measures.TargetReached switch { true => "yes", false => "no", null => Numbers.Missing })}
        </tbody></table></div>
        <p class="note">Seeds: {string.Join(", ", data.Circuits.Select(circuit => $"{circuit.Label} {circuit.Circuit.Seed}"))}. They fix the prompts, the masks and the random circuits.</p>
        </section>
        """);

    private static string Loss(CircuitMeasures measures, double? loss, bool isRandom) =>
        isRandom && measures.RandomLossStddev is double spread ? $"{Numbers.Measure(loss)} \u00b1 {Numbers.Measure(spread)}" : Numbers.Measure(loss);

    private static Markup Row(string name, string note, ReportData data, Func<CircuitMeasures, string> write) => Markup.Of($"""
        <tr><th scope="row">{name}</th><td class="note">{note}</td>{data.Circuits.Select(circuit => Markup.Of($"""<td class="n">{write(circuit.Circuit.Evaluation)}</td>"""))}</tr>

        """);

    private static List<(string Name, IReadOnlyList<Dot> Dots)> Rows(ReportData data) =>
    [
        .. _conditions.Select(condition => (condition.Name, (IReadOnlyList<Dot>)[.. data.Circuits
            .Where(circuit => condition.Loss(circuit.Circuit.Evaluation) is not null)
            .Select(circuit => new Dot(circuit.Label, data.StyleOf(circuit.Label), condition.Loss(circuit.Circuit.Evaluation)!.Value,
                condition.Name == _conditions[^1].Name ? circuit.Circuit.Evaluation.RandomLossStddev : null))]))
            .Where(row => row.Item2.Count > 0),
    ];

    private static List<Reference> References(ReportData data) =>
    [
        new("chance", Chance),
        .. data.Circuits.Select(circuit => circuit.Circuit.TargetLoss).Where(target => target > 0).Distinct().Select(target => new Reference("target", target)),
    ];
}
