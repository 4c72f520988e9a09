using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>The arithmetic against numbers computed by openai/circuit_sparsity's own model.</summary>
public sealed class TransformerGoldenTests : IDisposable
{
    private const double Tolerance = 1e-5;
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Golden", "sparse-rms-sink-bigram");
    private readonly SafetensorsFile _expected = SafetensorsFile.Open(Path.Combine(Folder, "expected.safetensors"));
    private readonly Transformer _model;

    public TransformerGoldenTests()
    {
        // The reference's config has other names for the same settings (beeg_config.json); they are written out here.
        TransformerConfig config = new()
        {
            NLayers = 2,
            DModel = 32,
            NHeads = 4,
            DHead = 8,
            DMlp = 128,
            DVocab = 64,
            NCtx = 16,
            ActivationFraction = 0.25,
            AttentionSink = true,
            BigramTable = true,
            Positions = PositionKind.Learned,
            FinalLogitsBias = true,
        };
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(Folder, "model.safetensors"));
        _model = new Transformer(config, new TransformerWeights(config, (name, _) => weights.Read(name).ToTorch()));
    }

    public void Dispose()
    {
        _model.Dispose();
        _expected.Dispose();
    }

    [Fact]
    public void Forward_GoldenTokens_GivesGoldenLogits()
    {
        using var scope = NewDisposeScope();
        Difference(_model.Forward(Expected("tokens")), "logits").ShouldBeLessThan(Tolerance);
    }

    [Fact]
    public void Forward_GoldenTokens_GivesGoldenActivationsAtEverySite()
    {
        using var scope = NewDisposeScope();
        RecordingTap recorder = new();
        _model.Forward(Expected("tokens"), recorder);
        string[] sites = [.. _expected.Entries.Keys.Where(key => key.StartsWith("act/", StringComparison.Ordinal))];
        sites.Length.ShouldBe(23);
        foreach (string site in sites)
        {
            HookPoint hook = _model.Hooks.Find(site["act/".Length..]).ShouldNotBeNull(site);
            Difference(recorder[hook.Name].ToTorch().reshape(2, 12, -1), site).ShouldBeLessThan(Tolerance, site);
        }
    }

    [Fact]
    public void Backward_GoldenLoss_GivesGoldenGradientsOfEveryParameter()
    {
        using var scope = NewDisposeScope();
        foreach (NamedParameter parameter in _model.Weights.All) parameter.Value.requires_grad = parameter.Name != "final_logits_bias";
        Tensor tokens = Expected("tokens");
        Tensor logits = _model.Forward(tokens).narrow(1, 0, 11);
        Tensor loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, 11).flatten());
        loss.item<float>().ShouldBe(_expected.Read("loss").Floats[0], Tolerance);
        loss.backward();
        string[] names = [.. _expected.Entries.Keys.Where(key => key.StartsWith("grad/", StringComparison.Ordinal))];
        foreach (string name in names)
        {
            Tensor gradient = _model.Weights.All.Single(parameter => parameter.Name == name["grad/".Length..]).Value.grad.ShouldNotBeNull(name);
            Difference(gradient, name).ShouldBeLessThan(Tolerance, name);
        }

        names.Length.ShouldBe(_model.Weights.All.Count - 1);
    }

    private Tensor Expected(string name) => _expected.Read(name).ToTorch();

    private double Difference(Tensor actual, string expected) => (actual - Expected(expected)).abs().max().item<float>();
}
