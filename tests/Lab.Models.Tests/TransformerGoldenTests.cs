using Lab.Models.Checkpoints;
using Lab.Models.Folders;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>The arithmetic against numbers that reference implementations computed, each model loaded from its folder as users do.</summary>
public sealed class TransformerGoldenTests
{
    private const double Tolerance = 1e-5;

    public static TheoryData<string> Folders => [.. GoldenFolder.Names.Where(name => !name.StartsWith("training", StringComparison.Ordinal))];

    /// <summary>Without AbsTopK, where a rounding decides which channels stay.</summary>
    public static TheoryData<string> DenseFolders => [.. GoldenFolder.Names.Where(name => name.StartsWith("hf-", StringComparison.Ordinal) || name.StartsWith("dense", StringComparison.Ordinal))];

    public static TheoryData<string> FoldersWithGradients => ["sparse-rms-sink-bigram", "dense-layernorm-tied"];

    public static TheoryData<string> TrainingFolders => ["training-linear", "training-weights-only"];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Forward_GoldenTokens_GivesGoldenLogitsAndActivations(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);

        golden.Keys("act/").Count().ShouldBeGreaterThan(5);
        golden.ShouldMatch(model, Tolerance);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Forward_InFp64_IsCloser(string name)
    {
        // Were a difference a fault of ours and not of FP32, it would stay. Expected values are stored in FP32.
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder, ScalarType.Float64);

        model.ScalarType.ShouldBe(ScalarType.Float64);
        using var scope = NewDisposeScope();
        golden.Difference(model.Forward(golden.Tokens), "logits").ShouldBeLessThan(name.StartsWith("hf-", StringComparison.Ordinal) ? 1e-6 : Tolerance);
    }

    [Theory]
    [MemberData(nameof(DenseFolders))]
    public void Forward_InBf16_IsNear(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder, ScalarType.BFloat16);
        using var scope = NewDisposeScope();

        Tensor logits = model.Forward(golden.Tokens).to(ScalarType.Float64), expected = golden.Expected("logits").to(ScalarType.Float64);

        model.ScalarType.ShouldBe(ScalarType.BFloat16);
        ((logits - expected).square().mean() / expected.square().mean()).sqrt().item<double>().ShouldBeLessThan(0.1);
    }

    [Theory]
    [MemberData(nameof(FoldersWithGradients))]
    public void Backward_GoldenLoss_GivesGoldenGradientsOfEveryParameter(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);
        using var scope = NewDisposeScope();
        foreach (NamedParameter parameter in model.Weights.All) parameter.Value.requires_grad = parameter.Name != "final_logits_bias";
        Tensor tokens = golden.Tokens;
        long length = tokens.shape[1];
        Tensor logits = model.Forward(tokens).narrow(1, 0, length - 1);
        Tensor loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, length - 1).flatten());
        golden.Difference(loss, "loss").ShouldBeLessThan(Tolerance);
        loss.backward();

        string[] keys = [.. golden.Keys("grad/")];
        foreach (string key in keys)
        {
            Tensor gradient = model.Weights.All.Single(parameter => parameter.Name == key["grad/".Length..]).Value.grad.ShouldNotBeNull(key);
            golden.Difference(gradient, key).ShouldBeLessThan(Tolerance, key);
        }

        keys.Length.ShouldBe(model.Weights.All.Count(parameter => parameter.Name != "final_logits_bias"));
    }

    [Theory]
    [MemberData(nameof(TrainingFolders))]
    public void Forward_InitialModel_HasTheLossOfTheFirstStep(string name)
    {
        using GoldenFolder golden = new(name);
        using ICheckpoint checkpoint = Checkpoint.OpenPickle(Path.Combine(golden.Folder, "initial_model.pt"));
        using Transformer model = TransformerLoader.Load(
            ModelFolder.ReadConfig(Path.Combine(golden.Folder, "beeg_config.json"), checkpoint), checkpoint, ct: TestContext.Current.CancellationToken);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor tokens = golden.Tokens[0];                                                           // (B, T)
        long length = tokens.shape[1];

        Tensor loss = nn.functional.cross_entropy(model.Forward(tokens).narrow(1, 0, length - 1).flatten(0, 1), tokens.narrow(1, 1, length - 1).flatten());

        ((double)loss.item<float>()).ShouldBe(golden.Expected("loss")[0].item<double>(), Tolerance);
    }

    [Theory]
    [MemberData(nameof(TrainingFolders))]
    public void Load_TrainedModel_IsServed(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);
        using var scope = NewDisposeScope();

        model.Forward(golden.Tokens[0]).isfinite().all().item<bool>().ShouldBeTrue();
    }
}
