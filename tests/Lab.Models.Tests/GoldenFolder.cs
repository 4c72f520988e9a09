using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>A folder with a small model and what its reference computes on it.</summary>
internal sealed class GoldenFolder(string name) : IDisposable
{
    private readonly SafetensorsFile _expected = SafetensorsFile.Open(Path.Combine(PathOf(name), "expected.safetensors"));

    public static IEnumerable<string> Names =>
        Directory.GetDirectories(Path.Combine(AppContext.BaseDirectory, "Golden")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    public string Folder => PathOf(name);

    public IEnumerable<string> Keys(string prefix) => _expected.Entries.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    public Tensor Tokens => Expected("tokens");

    public Tensor Expected(string key) => _expected.Read(key).ToTorch();

    /// <summary>The largest difference, relative where values are large. The shape may split the last dimension otherwise.</summary>
    public double Difference(Tensor actual, string key)
    {
        Tensor expected = Expected(key).to(ScalarType.Float64);
        Tensor difference = (actual.to(ScalarType.Float64).reshape(expected.shape) - expected).abs();
        return (difference / expected.abs().clamp(min: 1)).max().item<double>();
    }

    /// <summary>Logits and activations, against all that the folder holds.</summary>
    public void ShouldMatch(Transformer model, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        RecordingTap recorder = new();
        Tensor logits = model.Forward(Tokens, recorder);
        Difference(logits, "logits").ShouldBeLessThan(tolerance);
        Difference(model.Forward(Tokens), "logits").ShouldBeLessThan(tolerance);
        foreach (string key in Keys("act/"))
        {
            HookPoint hook = model.Hooks.Find(key["act/".Length..]).ShouldNotBeNull(key);
            Difference(recorder[hook.Name].ToTorch(), key).ShouldBeLessThan(tolerance, key);
        }
    }

    public void Dispose() => _expected.Dispose();

    private static string PathOf(string folder) => Path.Combine(AppContext.BaseDirectory, "Golden", folder);
}
