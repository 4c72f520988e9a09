namespace Lab.Gateway.Tests.Reports;

/// <summary>The content of a circuit.json, drawn at random.</summary>
internal sealed record CircuitFile(
    string Task, string Model, string Corpus, double TargetLoss, long Seed, object Evaluation,
    IReadOnlyList<CircuitFile.Node> Nodes, IReadOnlyList<CircuitFile.Edge> Edges, long EdgesTotal)
{
    private static readonly (string Hook, string Site, int Group)[] _sites =
    [
        ("attn.hook_read", "attn.read", 0), ("attn.hook_q", "attn.q", 1), ("attn.hook_k", "attn.k", 1), ("attn.hook_v", "attn.v", 1),
        ("hook_attn_out", "attn.out", 2), ("mlp.hook_read", "mlp.read", 3), ("mlp.hook_post", "mlp.post", 4), ("hook_mlp_out", "mlp.out", 5),
    ];

    public static CircuitFile Create(int layers, int nodesPerColumn, int seed)
    {
        var random = new Random(seed);
        List<Node> nodes = [.. Enumerable.Range(0, layers).SelectMany(layer => _sites.SelectMany(site =>
        {
            bool isHead = site.Group == 1;
            string hook = $"blocks.{layer}.{site.Hook}";
            int[] channels = [.. Enumerable.Range(0, Math.Max(128, nodesPerColumn))];
            random.Shuffle(channels);
            return channels.Take(isHead ? (nodesPerColumn + 2) / 3 : nodesPerColumn).Order().Select(channel => new Node(
                $"{hook}:{channel}", hook, layer, site.Site, channel, isHead ? channel / 16 : null, random.NextDouble(), Math.Pow(random.NextDouble(), 4), random.NextDouble()));
        }))];
        List<Edge> edges = [.. Enumerable.Range(0, layers).SelectMany(layer => new[]
        {
            ("attn.hook_read", "attn.hook_q"), ("attn.hook_read", "attn.hook_k"), ("attn.hook_read", "attn.hook_v"), ("attn.hook_v", "hook_attn_out"),
            ("mlp.hook_read", "mlp.hook_post"), ("mlp.hook_post", "hook_mlp_out"),
        }.SelectMany(pair =>
            from source in nodes.Where(node => node.Hook == $"blocks.{layer}.{pair.Item1}")
            from target in nodes.Where(node => node.Hook == $"blocks.{layer}.{pair.Item2}")
            where random.NextDouble() < 0.25
            select new Edge(source.Id, target.Id, (random.NextDouble() - 0.5) * Math.Pow(random.NextDouble(), 2))))];
        return new CircuitFile("single_double_quote", "sha256:m", "sha256:c", 0.15, seed, new
        {
            task_accuracy = 0.97,
            task_loss = 0.041,
            nodes = nodes.Count,
            total_nodes = 4096,
            edges = edges.Count,
            total_edges = 90210,
            loss = 0.149,
            loss_without = 1.73,
            random_loss = 0.88,
            random_loss_stddev = 0.21,
            zero_ablation_loss = 0.52,
            circuit_accuracy = 0.953,
            test_loss = 0.171,
            target_reached = true,
        }, nodes, [.. edges.OrderByDescending(edge => Math.Abs(edge.Weight)).Take(5000)], edges.Count);
    }

    internal sealed record Node(string Id, string Hook, int Layer, string Site, int Channel, int? Head, double MaskLogit, double Importance, double Mean);

    internal sealed record Edge(string Source, string Target, double Weight);
}
