namespace Lab.Gateway.Reports.Charts;

/// <summary>A node with its place on the drawing, or the rest of a column that was too full to draw one by one.</summary>
internal sealed class PlacedNode(string label, IReadOnlyList<CircuitNode> members)
{
    public string Label { get; } = label;

    /// <summary>One node, or all those that an aggregate stands for.</summary>
    public IReadOnlyList<CircuitNode> Members { get; } = members;

    public bool IsAggregate => Members.Count > 1;

    public double X { get; set; }

    public double Y { get; set; }
}

/// <summary>A column: one place in the forward pass, whose groups (q, k and v) stand below each other.</summary>
internal sealed record CircuitColumn(int Layer, string Title, int NodeCount, IReadOnlyList<(string Name, List<PlacedNode> Nodes)> Groups)
{
    public double X { get; set; }

    public IEnumerable<PlacedNode> Nodes => Groups.SelectMany(group => group.Nodes);
}

/// <summary>A line between two nodes: an edge (or the strongest of those between two aggregates), or the residual stream.</summary>
internal sealed record PlacedEdge(PlacedNode Source, PlacedNode Target, double Weight, bool IsStream);

/// <summary>
/// Places a circuit's nodes in columns by depth and orders each column so that few edges cross (barycentre sweeps).
/// </summary>
internal sealed class CircuitLayout
{
    public const int MaxNodesPerColumn = 150;
    public const int MaxEdges = 1500;

    private const double ColumnWidth = 86, GroupGap = 22, TallestColumn = 1000;
    private const int Sweeps = 8;

    private readonly Dictionary<string, PlacedNode> _byId;

    private CircuitLayout(IReadOnlyList<CircuitColumn> columns, Dictionary<string, PlacedNode> byId)
    {
        Columns = columns;
        _byId = byId;
    }

    public IReadOnlyList<CircuitColumn> Columns { get; }

    public IReadOnlyList<PlacedEdge> Edges { get; private set; } = [];

    /// <summary>Whether every node stands for itself.</summary>
    public bool IsComplete => Columns.All(column => column.Nodes.All(node => !node.IsAggregate));

    /// <summary>The distance between two nodes of a column.</summary>
    public double Spacing { get; private set; }

    public double Width { get; private set; }

    public double Height { get; private set; }

    public static CircuitLayout Of(Circuit circuit)
    {
        var byId = new Dictionary<string, PlacedNode>(StringComparer.Ordinal);
        List<CircuitColumn> columns = [.. circuit.Nodes
            .GroupBy(node => (node.Layer, Stage.Of(node.Hook).Order))
            .OrderBy(column => column.Key)
            .Select(column => Column(column.Key.Layer, [.. column], byId))];
        var layout = new CircuitLayout(columns, byId);
        layout.Edges = [.. layout.StreamEdges(circuit.Nodes), .. layout.WeightEdges(circuit.Edges)];
        layout.Order();
        layout.Place();
        return layout;
    }

    private static CircuitColumn Column(int layer, IReadOnlyList<CircuitNode> nodes, Dictionary<string, PlacedNode> byId)
    {
        List<CircuitNode> ranked = [.. nodes.OrderByDescending(node => Math.Abs(node.Importance)).ThenByDescending(node => node.MaskLogit)];
        HashSet<CircuitNode> drawn = [.. ranked.Take(ranked.Count > MaxNodesPerColumn ? MaxNodesPerColumn - 1 : MaxNodesPerColumn)];
        List<(string Name, List<PlacedNode> Nodes)> groups = [.. nodes
            .GroupBy(node => Stage.Of(node.Hook).Group)
            .OrderBy(group => "qkv".IndexOf(group.Key, StringComparison.Ordinal))
            .Select(group => (group.Key, group.Where(drawn.Contains)
                .OrderBy(node => node.Head ?? 0).ThenBy(node => node.Channel)
                .Select(node => new PlacedNode(Label(node), [node])).ToList()))];
        if (ranked.Count > drawn.Count)
        {
            CircuitNode[] rest = [.. ranked.Skip(drawn.Count)];
            groups.Add(("", [new PlacedNode($"+{rest.Length} more", rest)]));
        }

        var column = new CircuitColumn(layer, Stage.Of(nodes[0].Hook).Title, nodes.Count, groups);
        foreach (PlacedNode placed in column.Nodes)
        {
            foreach (CircuitNode member in placed.Members) byId[member.Id] = placed;
        }

        return column;
    }

    private static string Label(CircuitNode node) => node.Head is int head ? $"h{head} {node.Channel}" : $"{node.Channel}";

    /// <summary>The strongest edges; those between the same two drawn nodes become one.</summary>
    private IEnumerable<PlacedEdge> WeightEdges(IEnumerable<CircuitEdge> edges) => edges
        .Where(edge => _byId.ContainsKey(edge.Source) && _byId.ContainsKey(edge.Target))
        .GroupBy(edge => (Source: _byId[edge.Source], Target: _byId[edge.Target]))
        .Select(group => new PlacedEdge(group.Key.Source, group.Key.Target, group.MaxBy(edge => Math.Abs(edge.Weight))!.Weight, IsStream: false))
        .OrderByDescending(edge => Math.Abs(edge.Weight))
        .Take(MaxEdges);

    /// <summary>
    /// Joins each read of a residual channel with the last write to the same channel before it: the residual stream carries it
    /// there unchanged. These are no edges of the circuit.
    /// </summary>
    private List<PlacedEdge> StreamEdges(IEnumerable<CircuitNode> nodes)
    {
        var lastWrite = new Dictionary<int, PlacedNode>();
        var edges = new List<PlacedEdge>();
        foreach (CircuitNode node in nodes.OrderBy(node => node.Layer).ThenBy(node => Stage.Of(node.Hook).Order))
        {
            PlacedNode placed = _byId[node.Id];
            if (Stage.Of(node.Hook).Writes) lastWrite[node.Channel] = placed;
            else if (Stage.Of(node.Hook).Reads && lastWrite.TryGetValue(node.Channel, out PlacedNode? source)
                && !placed.IsAggregate && !source.IsAggregate)
                edges.Add(new PlacedEdge(source, placed, 0, IsStream: true));
        }

        return edges;
    }

    private void Order()
    {
        var neighbours = new Dictionary<PlacedNode, List<(PlacedNode Node, double Weight)>>();
        foreach (PlacedEdge edge in Edges)
        {
            double weight = edge.IsStream ? 0.5 : Math.Abs(edge.Weight) + 1e-9;
            (neighbours.TryGetValue(edge.Source, out var targets) ? targets : neighbours[edge.Source] = []).Add((edge.Target, weight));
            (neighbours.TryGetValue(edge.Target, out var sources) ? sources : neighbours[edge.Target] = []).Add((edge.Source, weight));
        }

        foreach (CircuitColumn column in Columns) Rank(column);
        for (int sweep = 0; sweep < Sweeps; sweep++)
        {
            foreach (CircuitColumn column in sweep % 2 == 0 ? Columns : Columns.Reverse())
            {
                foreach ((_, List<PlacedNode> nodes) in column.Groups)
                {
                    Dictionary<PlacedNode, double> centre = nodes.ToDictionary(node => node, node => Barycentre(node, neighbours));
                    List<PlacedNode> ordered = [.. nodes.OrderBy(node => centre[node])];
                    nodes.Clear();
                    nodes.AddRange(ordered);
                }

                Rank(column);
            }
        }
    }

    /// <summary>Gives each node its relative height, 0 to 1, as a stand-in for its place while columns are being ordered.</summary>
    private static void Rank(CircuitColumn column)
    {
        int i = 0;
        int count = column.Nodes.Count();
        foreach (PlacedNode node in column.Nodes) node.Y = (i++ + 0.5) / count;
    }

    private static double Barycentre(PlacedNode node, Dictionary<PlacedNode, List<(PlacedNode Node, double Weight)>> neighbours) =>
        neighbours.TryGetValue(node, out var of) ? of.Sum(n => n.Node.Y * n.Weight) / of.Sum(n => n.Weight) : node.Y;

    private void Place()
    {
        int most = Columns.Select(column => column.Nodes.Count()).DefaultIfEmpty(1).Max();
        Spacing = Math.Clamp(TallestColumn / most, 6, 17);
        double tallest = Columns.Select(HeightOf).DefaultIfEmpty(0).Max();
        Height = Math.Max(tallest, 120);
        double x = ColumnWidth / 2;
        foreach (CircuitColumn column in Columns)
        {
            column.X = x;
            double y = (Height - HeightOf(column)) / 2;
            foreach ((_, List<PlacedNode> nodes) in column.Groups)
            {
                foreach (PlacedNode node in nodes)
                {
                    (node.X, node.Y) = (x, y + (Spacing / 2));
                    y += Spacing;
                }

                y += GroupGap;
            }

            x += ColumnWidth;
        }

        Width = x - (ColumnWidth / 2);
    }

    private double HeightOf(CircuitColumn column) => (column.Nodes.Count() * Spacing) + ((column.Groups.Count - 1) * GroupGap);
}
