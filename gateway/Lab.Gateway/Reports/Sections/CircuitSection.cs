using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Reports.Sections;

/// <summary>The circuits, drawn.</summary>
internal static class CircuitSection
{
    public static Markup Render(ReportData data) => data.Circuits.Count == 0 ? Markup.Empty : Markup.Of($"""
        <section>
        <h2>{(data.Circuits.Count == 1 ? "The circuit" : "The circuits")}</h2>
        <p class="note">Each dot is a node: one channel at one place, larger where the task's loss depends on it more. Depth runs from left to right.
        <span class="swatch pos"></span>positive and <span class="swatch neg"></span>negative weights, stronger ones thicker;
        <span class="swatch dash"></span>a residual channel that is written and later read, which is not counted as an edge. Point at a node for its name.</p>
        {data.Circuits.Select(Figure)}
        </section>
        """);

    private static Markup Figure(LabelledCircuit labelled)
    {
        Circuit circuit = labelled.Circuit;
        var layout = CircuitLayout.Of(circuit);
        double edges = circuit.Evaluation.Edges ?? circuit.EdgesTotal ?? circuit.Edges.Count;
        return Markup.Of($"""
            <figure>
            <figcaption>{labelled.Label}<span class="legend">{circuit.Task}: {Numbers.Count(circuit.Nodes.Count)} nodes, {Numbers.Count(edges)} edges{Missing(circuit, layout)}</span></figcaption>
            {(circuit.Nodes.Count == 0 ? Markup.Of($"<p class=\"note\">The circuit is empty.</p>") : CircuitDrawing.Draw($"Circuit {labelled.Label}", circuit, layout))}
            </figure>
            """);
    }

    private static string Missing(Circuit circuit, CircuitLayout layout)
    {
        string nodes = layout.IsComplete ? "" : $"; of a column with more than {CircuitLayout.MaxNodesPerColumn} nodes the most important are drawn";
        string edges = (circuit.EdgesTotal ?? circuit.Edges.Count) > CircuitLayout.MaxEdges ? $"; the {Numbers.Count(CircuitLayout.MaxEdges)} strongest edges are drawn" : "";
        return edges + nodes;
    }
}
