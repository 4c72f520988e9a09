using Lab.Models;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;
using DataType = Lab.Protos.Tensor.V1.DataType;

namespace Lab.ModelHost.Tests;

/// <summary>A model of sparse matrices, large enough that its MLP takes sparse kernels.</summary>
public sealed class SparseModelTests : IAsyncLifetime
{
    private static readonly TransformerConfig Config = new() { NLayers = 2, DModel = 32, NHeads = 2, DHead = 16, DMlp = 4096, DVocab = 40, NCtx = 32 };

    private readonly HostedLab _lab = new();
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _lab.StartAsync(("ModelHost:ModelFolders:0", _folder.Path));
        using Transformer model = NewModel();
        TransformerCheckpoint.Save(model, Directory.CreateDirectory(_folder["sparse"]).FullName);
    }

    public async ValueTask DisposeAsync()
    {
        await _lab.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task LoadModel_SparseMatrices_CountTheirSparseForms()
    {
        Model model = await LoadAsync();
        using Transformer local = NewModel();
        local.UseSparseKernels();
        local.SparseBytes.ShouldBeGreaterThan(0);
        model.SizeBytes.ShouldBe(4 * model.ParameterCount + local.SparseBytes);
        (await LoadAsync(DataType.Fp64)).SizeBytes.ShouldBe(8 * model.ParameterCount);
    }

    [Fact]
    public async Task Run_SparseMatrices_GivesTheDenseModelsActivations()
    {
        await LoadAsync();
        RunRequest request = HostedLab.Request([1, 2, 3, 4, 5], [7, 8, 9, 10, 11]);
        request.Model = "models/sparse";
        request.Logits = LogitsMode.All;
        request.Captures.Add(new Selector { Hook = "blocks.*.mlp.hook_pre" });
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post" });
        List<HostTensor> tensors = (await _lab.RunAsync(request)).Tensors;

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Transformer dense = NewModel();
        RecordingTap recorder = new();
        Tensor logits = dense.Forward(tensor(new long[] { 1, 2, 3, 4, 5, 7, 8, 9, 10, 11 }, 2, 5), recorder);
        tensors.Count.ShouldBe(4);
        foreach (HostTensor actual in tensors)
        {
            Tensor expected = actual.Name == "logits" ? logits : recorder[actual.Name!].ToTorch();
            Tensor difference = (actual.ToTorch().reshape(expected.shape) - expected).abs() / expected.abs().clamp(min: 1);
            difference.max().item<float>().ShouldBeLessThan(1e-5f, actual.Name);
        }
    }

    private static Transformer NewModel()
    {
        using Generator generator = new(5);
        return new Transformer(Config, new TransformerWeights(Config, (_, shape) =>
        {
            using Tensor values = randn(shape, generator: generator), drawn = rand(shape, generator: generator), kept = drawn < 0.05;
            return shape.Length == 1 ? values.clone() : values * kept * 0.3f;
        }));
    }

    private async Task<Model> LoadAsync(DataType type = DataType.Unspecified) =>
        await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = "models/sparse", Folder = _folder["sparse"], DataType = type }, cancellationToken: Ct);
}
