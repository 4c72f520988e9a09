using Google.Rpc;
using Grpc.Core;
using Lab.Artifacts;
using Lab.ModelHost.Passes;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TorchSharp;
using static Lab.ModelHost.Tests.HostedLab;
using Proto = Lab.Protos.ModelHost.V1;
using StoredTensor = Lab.Protos.ModelHost.V1.StoredTensor;

namespace Lab.ModelHost.Tests;

public sealed class TensorSourceTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private const string Hook = "blocks.0.hook_resid_mid";

    private static readonly int[][] Rows = [[5, 6, 7, 8], [9, 10]];
    private static readonly HostTensor Vector = HostTensor.FromFloats("vector", [.. Enumerable.Range(0, 32).Select(i => (i - 16) * 0.25f)], 32);

    [Fact]
    public async Task Run_StoredTensor_EqualsTheSameTensorInline()
    {
        await StoreAsync("tensors/one", "a.safetensors", Vector);
        RunReply inline = await lab.RunAsync(Adding(new TensorSource { Inline = (Vector with { Name = "" }).ToMessage() }));
        RunReply stored = await lab.RunAsync(Adding(new TensorSource { Stored = new StoredTensor { Artifact = "tensors/one" } }));
        stored.Tensors.ShouldBe(inline.Tensors);
        stored.Started.InterventionHashes.ShouldBe(inline.Started.InterventionHashes);
        stored.Tensors.ShouldNotBe((await lab.RunAsync(Adding(new TensorSource { Inline = HostTensor.FromFloats("", new float[32], 32).ToMessage() }))).Tensors);
    }

    [Theory]
    [InlineData(TensorDataType.Float16)]
    [InlineData(TensorDataType.BFloat16)]
    [InlineData(TensorDataType.Float64)]
    public async Task Run_StoredTensorOfAnotherType_IsConverted(TensorDataType type)
    {
        using torch.Tensor values = Vector.ToTorch();
        await StoreAsync($"tensors/{type.ToString().ToLowerInvariant()}", "a.safetensors", values.ToHost("vector", type));
        RunReply stored = await lab.RunAsync(Adding(new TensorSource { Stored = new StoredTensor { Artifact = $"tensors/{type.ToString().ToLowerInvariant()}" } }));
        stored.Tensors.ShouldBe((await lab.RunAsync(Adding(new TensorSource { Inline = Vector.ToMessage() }))).Tensors);
    }

    [Fact]
    public async Task Run_MeanOfStoredStatistics_AblatesToTheMean()
    {
        CollectStatisticsRequest collect = new()
        {
            Model = ModelName,
            Inputs = { Request(Rows).Input },
            Selectors = { new Selector { Hook = Hook } },
            Store = new StoreStatistics { Name = "statistics/means" },
        };
        StatisticsResult measured = await StatisticsResult.CollectAsync(lab, collect);
        TensorSource mean = new() { Stored = new StoredTensor { Artifact = "statistics/means", Key = $"{Hook}/mean" } };
        RunRequest request = Request(Rows), own = Request(Rows);
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, Mean = new MeanOperation { Value = mean } });
        own.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, Mean = new MeanOperation() });
        (request.Logits, own.Logits) = (LogitsMode.Last, LogitsMode.Last);

        HostTensor ablated = (await lab.RunAsync(request)).Tensors.Single(), expected = (await lab.RunAsync(own)).Tensors.Single();

        measured.Summary.ArtifactDigest.ShouldBe((await lab.Store.GetAsync("statistics/means", TestContext.Current.CancellationToken)).Digest);
        for (int i = 0; i < expected.ElementCount; i++) ablated.Floats[i].ShouldBe(expected.Floats[i], 1e-4f);
    }

    [Theory]
    [InlineData("tensors/none", "", "", "artifact")]
    [InlineData("tensors/two", "c.safetensors", "", "file")]
    [InlineData("tensors/two", "a.safetensors", "missing", "key")]
    public async Task Run_WhatIsNotThere_IsNotFoundAndNamesTheField(string artifact, string file, string key, string field)
    {
        await StoreTwoAsync();
        RpcException error = await CallErrors.ErrorOf(() => lab.RunAsync(Adding(new TensorSource { Stored = new StoredTensor { Artifact = artifact, File = file, Key = key } })));
        error.StatusCode.ShouldBe(StatusCode.NotFound, error.Status.Detail);
        error.GetRpcStatus()!.GetDetail<ErrorInfo>().Metadata["field"].ShouldBe($"interventions[0].add.value.stored.{field}");
    }

    [Theory]
    [InlineData("", "", "file")]
    [InlineData("b.safetensors", "", "key")]
    [InlineData("b.safetensors", "integers", "key")]
    public async Task Run_WhatIsNotOneTensorOfFloats_IsRefused(string file, string key, string field)
    {
        await StoreTwoAsync();
        RpcException error = await CallErrors.ErrorOf(() => lab.RunAsync(Adding(new TensorSource { Stored = new StoredTensor { Artifact = "tensors/two", File = file, Key = key } })));
        error.Field().ShouldBe($"interventions[0].add.value.stored.{field}");
    }

    [Fact]
    public async Task Run_InlineTensorThatIsTooLarge_IsRefused()
    {
        TensorSource large = new() { Inline = HostTensor.FromFloats("", new float[32], 32).ToMessage() };
        large.Inline.Shape[0] = (4 << 18) + 1;
        large.Inline.Data = Google.Protobuf.ByteString.CopyFrom(new byte[(4 << 20) + 4]);
        (await CallErrors.ErrorOf(() => lab.RunAsync(Adding(large)))).Field().ShouldBe("interventions[0].add.value.inline.data");
    }

    [Fact]
    public async Task Run_StoredTensorThatFindsTheMemoryHeld_IsToComeAgain()
    {
        await StoreAsync("tensors/held", "a.safetensors", Vector);
        RunRequest stored = Adding(new TensorSource { Stored = new StoredTensor { Artifact = "tensors/held" } });
        RunLimits limits = lab.Host.Services.GetRequiredService<RunLimits>();
        long most = lab.Host.Services.GetRequiredService<IOptions<ModelHostOptions>>().Value.MaxHeldBytes, sent = 2 * 4 * Vector.Data.Length;

        using (limits.Hold(most - sent))
        {
            await lab.RunAsync(Adding(new TensorSource { Inline = Vector.ToMessage() }));
            (await CallErrors.ErrorOf(() => lab.RunAsync(stored))).Reason().ShouldBe("MEMORY_BUSY");
        }

        await lab.RunAsync(stored);
    }

    [Fact]
    public async Task Run_StoredTensorThatIsDamaged_NamesTheArtifact()
    {
        await StoreAsync("tensors/damaged", "a.safetensors", Vector);
        RunRequest request = Adding(new TensorSource { Stored = new StoredTensor { Artifact = "tensors/damaged" } });
        RunReply good = await lab.RunAsync(request);
        StoredArtifact artifact = await lab.Store.GetAsync("tensors/damaged", TestContext.Current.CancellationToken);
        string path = lab.Store.GetPath(artifact, "a.safetensors");
        byte[] bytes = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);

        DamagedFiles.FlipLastByte(path);
        RpcException error = await CallErrors.ErrorOf(() => lab.RunAsync(request));
        error.StatusCode.ShouldBe(StatusCode.DataLoss);
        error.Status.Detail.ShouldContain(artifact.Digest);
        error.Status.Detail.ShouldContain("a.safetensors");

        File.Delete(path);
        (await CallErrors.ErrorOf(() => lab.RunAsync(request))).StatusCode.ShouldBe(StatusCode.DataLoss);
        await File.WriteAllBytesAsync(path, bytes, TestContext.Current.CancellationToken);
        (await lab.RunAsync(request)).Tensors.ShouldBe(good.Tensors);
    }

    private static RunRequest Adding(TensorSource value)
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = Hook });
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, Add = new AddOperation { Value = value } });
        return request;
    }

    private async Task StoreTwoAsync() => await PutAsync("tensors/two", folder =>
    {
        SafetensorsWriter.Write(Path.Combine(folder, "a.safetensors"), [Vector]);
        SafetensorsWriter.Write(Path.Combine(folder, "b.safetensors"), [Vector, new HostTensor("integers", TensorDataType.Int64, [1], new byte[8])]);
    });

    private async Task StoreAsync(string name, string file, HostTensor tensor) => await PutAsync(name, folder => SafetensorsWriter.Write(Path.Combine(folder, file), [tensor]));

    private async Task PutAsync(string name, Action<string> write)
    {
        StoredArtifact artifact = await lab.Store.PutAsync(
            "bridge",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                write(folder);
                return Task.CompletedTask;
            },
            TestContext.Current.CancellationToken);
        await lab.Store.SetNameAsync(name, artifact.Digest, TestContext.Current.CancellationToken);
    }
}
