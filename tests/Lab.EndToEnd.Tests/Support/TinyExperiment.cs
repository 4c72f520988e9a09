using System.Globalization;
using Google.Protobuf.WellKnownTypes;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>The shipped experiment in a setting that takes seconds.</summary>
internal static class TinyExperiment
{
    public const string Name = "sparse-circuit";

    private static readonly (string Name, double Value)[] _settings =
    [
        ("vocab_size", 300), ("n_layers", 1), ("d_model", 32), ("d_head", 8), ("n_ctx", 32), ("activation_fraction", 0.75),
        ("weight_fraction", 0.5), ("batch_size", 16), ("sparse_steps", 240), ("dense_steps", 240), ("bridge_steps", 40), ("prune_steps", 20),
        ("target_loss", 0.6), ("held_out_pairs", 16), ("random_circuits", 3),
    ];

    /// <summary>The arguments of `lab` after the data folder or gateway.</summary>
    public static IEnumerable<string> Arguments(string corpus, int seed) =>
    [
        "run", Name, "--set", $"corpus={corpus}", "--set", $"seed={seed}",
        .. _settings.SelectMany(setting => (string[])["--set", string.Create(CultureInfo.InvariantCulture, $"{setting.Name}={setting.Value}")]),
    ];

    /// <summary>The same for CreateExperimentRun.</summary>
    public static Struct Parameters(string corpus, int seed)
    {
        Struct parameters = new() { Fields = { ["corpus"] = Value.ForString(corpus), ["seed"] = Value.ForNumber(seed) } };
        foreach ((string name, double value) in _settings) parameters.Fields[name] = Value.ForNumber(value);
        return parameters;
    }
}
