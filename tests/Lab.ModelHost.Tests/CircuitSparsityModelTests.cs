using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Folders;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Tests;

/// <summary>A model that is stored in openai/circuit_sparsity's format.</summary>
public sealed class CircuitSparsityModelTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LoadModel_StoredInTheirFormat_GivesTheSameLogits(bool inOursToo)
    {
        string name = inOursToo ? "models/both" : "models/theirs";
        using Transformer model = HostedLab.NewModel();
        StoredArtifact artifact = await lab.Store.PutAsync(
            "model",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                CircuitSparsityFolder.Save(model, folder);
                if (inOursToo) TransformerCheckpoint.Save(model, folder);
                HostedLab.Tokenizer.Save(folder);
                return Task.CompletedTask;
            },
            Ct);
        await lab.Store.SetNameAsync(name, artifact.Digest, Ct);
        await lab.Client.LoadModelAsync(new LoadModelRequest { Name = name }, cancellationToken: Ct);

        HostTensor expected = await LogitsAsync(HostedLab.ModelName), actual = await LogitsAsync(name);

        actual.Floats.SequenceEqual(expected.Floats).ShouldBeTrue();
    }

    private async Task<HostTensor> LogitsAsync(string model)
    {
        RunRequest request = HostedLab.Request([1, 2, 3, 4, 5]);
        request.Model = model;
        request.Logits = LogitsMode.All;
        return (await lab.RunAsync(request)).Tensors.Single();
    }
}
