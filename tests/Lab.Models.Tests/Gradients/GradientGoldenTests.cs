using Lab.Models.Folders;
using Lab.Models.Gradients;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

/// <summary>Gradients of the loss by every parameter against those that a reference implementation computed.</summary>
public sealed class GradientGoldenTests
{
    public static TheoryData<string> Folders => ["sparse-rms-sink-bigram", "dense-layernorm-tied"];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Run_NextTokenLossByParameters_GivesGoldenGradients(string name)
    {
        using GoldenFolder golden = new(name);
        using Transformer model = ModelFolder.Load(golden.Folder);
        using var scope = NewDisposeScope();
        int[][] rows = [.. Enumerable.Range(0, (int)golden.Tokens.shape[0]).Select(row => golden.Tokens[row].to(ScalarType.Int64).data<long>().Select(token => (int)token).ToArray())];
        string[] keys = [.. golden.Keys("grad/")];
        keys.Length.ShouldBeGreaterThan(10);

        Gradient gradient = GradientTesting.Run(
            model, rows, GradientTesting.NextTokens, [.. keys.Select(key => new GradientTarget.Parameter(key["grad/".Length..]))]);

        // The reference's loss is the mean over rows; ours is a number for each.
        golden.Difference(tensor(gradient.Result.Objectives.Average()), "loss").ShouldBeLessThan(1e-5);
        gradient.Tensors.Select(one => one.Name).ShouldBe(keys);
        foreach (HostTensor one in gradient.Tensors) golden.Difference(one.ToTorch() / rows.Length, one.Name).ShouldBeLessThan(1e-5, one.Name);
        model.Weights.All.Any(parameter => parameter.Value.requires_grad || parameter.Value.grad is not null).ShouldBeFalse();
    }
}
