namespace Lab.Gateway.Reports;

/// <summary>How a metric is written.</summary>
internal enum MetricFormat
{
    Measure,
    Count,
    Percent,
    Ratio,
    YesOrNo,
}

/// <summary>What the metrics of the lab's operations mean.</summary>
internal static class MetricCatalogue
{
    private static readonly (string Key, string Title, MetricFormat Format)[] _known =
    [
        ("expansion_factor", "Expansion factor", MetricFormat.Measure),
        ("pfrac", "Nonzero share at expansion 1", MetricFormat.Measure),
        ("activation_fraction", "Activation fraction", MetricFormat.Measure),
        ("circuit_nodes", "Circuit nodes", MetricFormat.Count),
        ("circuit_edges", "Circuit edges", MetricFormat.Count),
        ("circuit_loss", "Task loss with only the circuit", MetricFormat.Measure),
        ("circuit_target_reached", "Circuit reached the target loss", MetricFormat.YesOrNo),
        ("train_seconds", "Training, seconds", MetricFormat.Measure),
        ("edge_ratio", "Dense edges for each sparse edge", MetricFormat.Ratio),
        ("held_out_loss", "Held-out loss, nats per token", MetricFormat.Measure),
        ("loss", "Training loss, nats per token", MetricFormat.Measure),
        ("task_accuracy", "Task accuracy on held-out prompts", MetricFormat.Percent),
        ("mean_task_accuracy", "Mean accuracy on the twenty tasks, held-out prompts", MetricFormat.Percent),
        ("task_loss", "Task loss of the whole model, nats", MetricFormat.Measure),
        ("nodes", "Nodes", MetricFormat.Count),
        ("edges", "Edges", MetricFormat.Count),
        ("circuit.nodes", "Circuit nodes", MetricFormat.Count),
        ("circuit.total_nodes", "Nodes of the whole model", MetricFormat.Count),
        ("circuit.edges", "Circuit edges", MetricFormat.Count),
        ("circuit.total_edges", "Edges of the whole model", MetricFormat.Count),
        ("circuit.loss", "Task loss with only the circuit", MetricFormat.Measure),
        ("circuit.test_loss", "Task loss with only the circuit, on new prompts", MetricFormat.Measure),
        ("circuit.loss_without", "Task loss without the circuit", MetricFormat.Measure),
        ("circuit.random_loss", "Task loss of random circuits of that size", MetricFormat.Measure),
        ("circuit.random_loss_stddev", "Its standard deviation over random circuits", MetricFormat.Measure),
        ("circuit.zero_ablation_loss", "Task loss with only the circuit, the rest at zero", MetricFormat.Measure),
        ("circuit.target_reached", "Circuit reached the target loss", MetricFormat.YesOrNo),
        ("circuit.accuracy", "Accuracy with only the circuit", MetricFormat.Percent),
        ("circuit.circuit_accuracy", "Accuracy with only the circuit", MetricFormat.Percent),
        ("l0_fraction", "Nonzero fraction of the weights", MetricFormat.Percent),
        ("nonzero_parameters", "Nonzero parameters", MetricFormat.Count),
        ("dead_neurons", "Dead neurons", MetricFormat.Count),
        ("encoder_nmse", "Encoder NMSE, mean over sites", MetricFormat.Measure),
        ("decoder_nmse", "Decoder NMSE, mean over sites", MetricFormat.Measure),
        ("kl_dense_to_sparse", "KL of the dense-to-sparse hybrid, nats per token", MetricFormat.Measure),
        ("kl_sparse_to_dense", "KL of the sparse-to-dense hybrid, nats per token", MetricFormat.Measure),
        ("train_tokens", "Training tokens", MetricFormat.Count),
        ("held_out_tokens", "Held-out tokens", MetricFormat.Count),
        ("files", "Files", MetricFormat.Count),
        ("files_skipped", "Files skipped (binary or not UTF-8)", MetricFormat.Count),
        ("files_duplicate", "Duplicate files", MetricFormat.Count),
        ("vocab_size", "Vocabulary", MetricFormat.Count),
        ("tokens_per_second", "Tokens per second", MetricFormat.Count),
    ];

    private static readonly Dictionary<string, (string Title, MetricFormat Format)> _byKey =
        _known.ToDictionary(metric => metric.Key, metric => (metric.Title, metric.Format), StringComparer.Ordinal);

    /// <summary>What a metric is, in words, with the label that it begins with in brackets; an unknown one keeps its key.</summary>
    public static string Title(string key) =>
        _byKey.TryGetValue(key, out (string Title, MetricFormat) known) ? known.Title
        : _byKey.TryGetValue(WithoutLabel(key), out known) ? $"{known.Title} ({key[..key.IndexOf('.', StringComparison.Ordinal)]})"
        : key;

    public static string Write(string key, double? value) => _byKey.GetValueOrDefault(_byKey.ContainsKey(key) ? key : WithoutLabel(key)).Format switch
    {
        MetricFormat.Count => Numbers.Count(value),
        MetricFormat.Percent => Numbers.Percent(value),
        MetricFormat.YesOrNo => value switch { null => Numbers.Missing, 0 => "no", _ => "yes" },
        MetricFormat.Ratio => Numbers.Ratio(value),
        _ => Numbers.Measure(value),
    };

    private static string WithoutLabel(string key) => key[(key.IndexOf('.', StringComparison.Ordinal) + 1)..];
}
