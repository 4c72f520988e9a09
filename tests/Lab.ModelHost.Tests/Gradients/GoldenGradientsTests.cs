using System.Runtime.InteropServices;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Tests.Gradients;

/// <summary>Gradients of golden folders' losses over the wire, against those that a reference implementation computed.</summary>
public sealed class GoldenGradientsTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();

    private static string Folder(string name) => Path.Combine(AppContext.BaseDirectory, "Golden", name);

    public async ValueTask InitializeAsync() => await _lab.StartAsync(("ModelHost:ModelFolders:0", Folder("")));

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData("sparse-rms-sink-bigram")]
    [InlineData("dense-layernorm-tied")]
    public async Task Gradients_NextTokenLossByParameters_AreGolden(string name)
    {
        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(Folder(name), "expected.safetensors"));
        await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = "models/golden", Folder = Folder(name) }, cancellationToken: TestContext.Current.CancellationToken);
        HostTensor tokens = expected.Read("tokens");
        int length = (int)tokens.Shape[1];
        long[] ids = [.. MemoryMarshal.Cast<byte, long>(tokens.Data.Span)];
        GradientsRequest request = GradientLab.Request([.. ids.Select(id => (int)id).Chunk(length)]);
        request.Model = "models/golden";
        string[] keys = [.. expected.Entries.Keys.Where(key => key.StartsWith("grad/", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        request.Targets.Add(keys.Select(key => new GradientTarget { Parameter = key["grad/".Length..] }));

        GradientReply reply = await _lab.RunAsync(request);

        reply.Started.ModelDataType.ShouldBe(DataType.Fp32);
        reply.Tensors.Select(tensor => tensor.Name).ShouldBe(keys);
        reply.Summary.Objectives.Average().ShouldBe(expected.Read("loss").Floats[0], 1e-5);
        foreach (HostTensor tensor in reply.Tensors)
        {
            // The reference's loss is the mean over rows; ours is a number for each.
            HostTensor golden = expected.Read(tensor.Name);
            tensor.Shape.ShouldBe(golden.Shape);
            for (int i = 0; i < golden.ElementCount; i++) (tensor.Floats[i] / tokens.Shape[0]).ShouldBe(golden.Floats[i], 1e-5, tensor.Name);
        }
    }
}
