using System.Globalization;
using Lab.CircuitAnalysis.Pruning;

namespace Lab.CircuitAnalysis.Reports;

/// <summary>Writes circuit.dot: inputs at the bottom, one rank for each depth, blue edges for positive and red for negative weights.</summary>
internal static class CircuitDot
{
    private const int MostEdges = 2000;

    public static void Write(TextWriter writer, CircuitHeader header, Circuit circuit)
    {
        Line($"digraph circuit {{");
        Line($"  rankdir=BT; ranksep=1; nodesep=0.15; splines=line;");
        Line($"  label=\"{Escape(header.Task)} in {Escape(header.Model)}: {circuit.Measurement.Nodes} nodes, {circuit.Measurement.Edges} edges, loss {circuit.Measurement.Loss:0.000}\";");
        Line($"  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f4f4f4\", fontname=\"Helvetica\", fontsize=10, margin=\"0.06,0.03\"];");
        Line($"  edge [arrowsize=0.4];");
        foreach (IGrouping<int, CircuitNode> rank in circuit.Nodes.GroupBy(node => Depth(node.Site)).OrderBy(rank => rank.Key))
        {
            Line($"  {{ rank=same;");
            foreach (CircuitNode node in rank) Line($"    \"{node.Id}\" [label=\"{Label(node)}\", tooltip=\"importance {node.Importance:0.0000}\"];");
            Line($"  }}");
        }

        CircuitEdge[] edges = [.. circuit.Edges.Take(MostEdges)];
        float largest = edges.Length == 0 ? 1 : Math.Abs(edges[0].Weight);
        foreach (CircuitEdge edge in edges)
        {
            string color = edge.Weight > 0 ? "#2b6cb0" : "#c53030";
            Line($"  \"{edge.Source}\" -> \"{edge.Target}\" [color=\"{color}\", penwidth={0.4 + 2 * Math.Abs(edge.Weight) / largest:0.00}, tooltip=\"{edge.Weight:0.0000}\"];");
        }

        Line($"}}");

        void Line(FormattableString text)
        {
            writer.Write(text.ToString(CultureInfo.InvariantCulture));
            writer.Write('\n');
        }
    }

    /// <summary>The rank: six in a layer, q, k and v on one.</summary>
    private static int Depth(NodeSite site) => 6 * site.Layer + site.Kind switch
    {
        SiteKind.AttnRead => 0,
        SiteKind.Query or SiteKind.Key or SiteKind.Value => 1,
        SiteKind.AttnOut => 2,
        SiteKind.MlpRead => 3,
        SiteKind.MlpPost => 4,
        _ => 5,
    };

    private static string Label(CircuitNode node) => node.Head is { } head
        ? $"L{node.Site.Layer} {node.Site.Kind.Name()} h{head}.{node.Channel % node.Site.ChannelShape[1]}"
        : $"L{node.Site.Layer} {node.Site.Kind.Name()} {node.Channel}";

    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
