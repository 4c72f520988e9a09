using System.Globalization;
using System.Text;

namespace Lab.Gateway.Reports.Charts;

/// <summary>Draws a circuit as a layered graph in SVG: depth from left to right, edges by sign and weight.</summary>
internal static class CircuitDrawing
{
    private const double Top = 60;

    public static Markup Draw(string title, Circuit circuit, CircuitLayout layout)
    {
        double mostImportant = circuit.Nodes.Select(node => Math.Abs(node.Importance)).DefaultIfEmpty(0).Max();
        double heaviest = layout.Edges.Where(edge => !edge.IsStream).Select(edge => Math.Abs(edge.Weight)).DefaultIfEmpty(1).Max();
        return Markup.Of($"""
            <div class="graph"><svg viewBox="0 0 {layout.Width:0} {layout.Height + Top + 10:0}" width="{layout.Width:0}" height="{layout.Height + Top + 10:0}" role="img" aria-label="{title}">
            {Bands(layout)}
            <g transform="translate(0 {Top})">
            <g class="stream">{layout.Edges.Where(edge => edge.IsStream).Select(StreamLine)}</g>
            <g class="edges">{layout.Edges.Where(edge => !edge.IsStream).Reverse().Select(edge => EdgeLine(edge, heaviest))}</g>
            {layout.Columns.Select(column => Column(column, layout, mostImportant))}
            </g>
            </svg></div>
            """);
    }

    private static Markup Bands(CircuitLayout layout) => Markup.Join(layout.Columns.GroupBy(column => column.Layer).Select(layer =>
    {
        double from = layer.Min(column => column.X) - 41;
        double to = layer.Max(column => column.X) + 41;
        return Markup.Of($"""
            <rect class="band" x="{from:0.#}" y="0" width="{to - from:0.#}" height="{layout.Height + Top + 10:0}" rx="6"/>
            <text class="layer" x="{from + 8:0.#}" y="15">layer {layer.Key}</text>
            """);
    }));

    private static Markup Column(CircuitColumn column, CircuitLayout layout, double mostImportant) => Markup.Of($"""
        <text class="column" x="{column.X:0.#}" y="-26" text-anchor="middle">{column.Title}<tspan class="count"> {column.NodeCount}</tspan></text>
        {column.Groups.Where(group => group.Name.Length > 0 && group.Nodes.Count > 0).Select(group => Markup.Of(
            $"""<text class="group" x="{column.X:0.#}" y="{group.Nodes[0].Y - (layout.Spacing / 2) - 4:0.#}" text-anchor="middle">{group.Name}</text>"""))}
        {column.Nodes.Select(node => Node(node, layout.Spacing, mostImportant))}
        """);

    private static Markup Node(PlacedNode node, double spacing, double mostImportant)
    {
        if (node.IsAggregate)
            return Markup.Of($"""<text class="more" x="{node.X:0.#}" y="{node.Y + 4:0.#}" text-anchor="middle">{node.Label}</text>""");

        CircuitNode member = node.Members[0];
        double importance = mostImportant > 0 ? Math.Abs(member.Importance) / mostImportant : 0;
        double radius = (0.2 + (0.26 * Math.Sqrt(importance))) * Math.Min(spacing, 14);
        Markup label = spacing >= 9
            ? Markup.Of($"""<text class="channel" x="{node.X + radius + 2:0.#}" y="{node.Y + 3:0.#}">{node.Label}</text>""")
            : Markup.Empty;
        return Markup.Of($"""
            <g class="node"><circle cx="{node.X:0.#}" cy="{node.Y:0.#}" r="{radius:0.#}"/>{label}<title>{member.Id}
            importance {Numbers.Measure(member.Importance)}, mask {Numbers.Measure(member.MaskLogit)}, mean {Numbers.Measure(member.Mean)}</title></g>

            """);
    }

    private static Markup EdgeLine(PlacedEdge edge, double heaviest)
    {
        double share = Math.Abs(edge.Weight) / heaviest;
        return Markup.Of($"""<path class="{(edge.Weight < 0 ? "neg" : "pos")}" d="{Curve(edge)}" stroke-width="{0.4 + (2 * share):0.##}" opacity="{0.12 + (0.75 * share):0.##}"/>""");
    }

    private static Markup StreamLine(PlacedEdge edge) => Markup.Of($"""<path d="{Curve(edge)}"/>""");

    private static string Curve(PlacedEdge edge)
    {
        double middle = (edge.Source.X + edge.Target.X) / 2;
        return new StringBuilder()
            .Append(CultureInfo.InvariantCulture, $"M{edge.Source.X:0.#} {edge.Source.Y:0.#}C{middle:0.#} {edge.Source.Y:0.#} ")
            .Append(CultureInfo.InvariantCulture, $"{middle:0.#} {edge.Target.Y:0.#} {edge.Target.X:0.#} {edge.Target.Y:0.#}").ToString();
    }
}
