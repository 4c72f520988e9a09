namespace Lab.Models;

/// <summary>What a model's parameters do, by name.</summary>
public sealed class ParameterCatalog
{
    private readonly Dictionary<string, ParameterRole> _roles = new(StringComparer.Ordinal);

    internal ParameterCatalog(TransformerWeights weights)
    {
        AddTable(weights.TokenEmbedding);
        AddTable(weights.PositionEmbedding);
        for (int layer = 0; layer < weights.Blocks.Count; layer++) AddBlock(weights.Blocks[layer], layer);
        AddNorm(weights.LnFinal);
        if (!ReferenceEquals(weights.Unembedding, weights.TokenEmbedding)) AddMap(new LinearWeights(weights.Unembedding, null), -1, MapSite.Other);
        AddTable(weights.Bigram);
        AddVector(weights.FinalLogitsBias);
    }

    /// <summary>The roles of all parameters.</summary>
    public IReadOnlyCollection<ParameterRole> All => _roles.Values;

    /// <summary>A parameter's role; null if there is no such parameter.</summary>
    public ParameterRole? Find(string name) => _roles.GetValueOrDefault(name);

    /// <summary>The names that are the most like a text, the nearest first.</summary>
    /// <param name="text">What no parameter is named.</param>
    /// <param name="count">How many.</param>
    public IReadOnlyList<string> Nearest(string text, int count = 3) =>
        text.Length > 1024 ? [] : [.. _roles.Keys.OrderBy(name => Distance(name, text)).ThenBy(name => name, StringComparer.Ordinal).Take(count)];

    private void AddBlock(BlockWeights block, int layer)
    {
        AddNorm(block.Ln1);
        AddNorm(block.PositionNorm1);
        AttentionWeights attention = block.Attention;
        foreach (LinearWeights? map in (LinearWeights?[])[attention.Qkv, attention.Q, attention.K, attention.V]) AddMap(map, layer, MapSite.AttentionInput);
        AddMap(attention.Out, layer, MapSite.AttentionOutput);
        AddNorm(attention.QNorm);
        AddNorm(attention.KNorm);
        if (attention.SinkLogit is { } sink) _roles.Add(sink.Name, new ParameterRole(sink.Name, ParameterKind.Sink, sink.Value.shape[0], 1));
        AddNorm(block.Ln1Post);
        AddNorm(block.Ln2);
        AddNorm(block.PositionNorm2);
        foreach (LinearWeights? map in (LinearWeights?[])[block.Mlp.In, block.Mlp.Linear, block.Mlp.Out]) AddMap(map, layer, MapSite.Other);
        AddNorm(block.Ln2Post);
    }

    private void AddTable(NamedParameter? table)
    {
        if (table is not null) _roles.Add(table.Name, new ParameterRole(table.Name, ParameterKind.Table, table.Value.shape[0], table.Value.shape[1]));
    }

    private void AddMap(LinearWeights? map, int layer, MapSite site)
    {
        if (map is null) return;
        long[] shape = map.Weight.Value.shape;
        (long outputs, long inputs) = map.IsInOut ? (shape[1], shape[0]) : (shape[0], shape[1]);
        _roles.Add(map.Weight.Name, new ParameterRole(map.Weight.Name, ParameterKind.Matrix, outputs, inputs) { Layer = layer, Site = site });
        AddVector(map.Bias, layer, site);
    }

    private void AddNorm(NormWeights? norm)
    {
        AddVector(norm?.Gain);
        AddVector(norm?.Bias);
    }

    private void AddVector(NamedParameter? vector, int layer = -1, MapSite site = MapSite.Other)
    {
        if (vector is not null) _roles.Add(vector.Name, new ParameterRole(vector.Name, ParameterKind.Vector, vector.Value.shape[0], 1) { Layer = layer, Site = site });
    }

    /// <summary>The edits of single characters between two texts (Levenshtein 1966).</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }

        return row[^1];
    }
}
