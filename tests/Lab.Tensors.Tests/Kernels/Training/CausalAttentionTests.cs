using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels.Training;

/// <summary>Attention and its gradients against the textbook's in FP64, at lengths and widths that are no multiple of a block or a vector.</summary>
public sealed class CausalAttentionTests
{
    [Theory]
    [InlineData(1, 1, 1, 1, false)]
    [InlineData(1, 1, 2, 16, true)]
    [InlineData(2, 3, 1, 5, true)]
    [InlineData(1, 4, 3, 8, false)]
    [InlineData(1, 5, 1, 16, true)]
    [InlineData(2, 16, 2, 20, false)]
    [InlineData(1, 17, 2, 33, true)]
    [InlineData(3, 70, 2, 8, true)]
    public void ForwardAndBackward_AnyShape_EqualAutogradInFp64(int rows, int length, int heads, int width, bool hasSinks)
    {
        using var scope = NewDisposeScope();
        (Tensor[] inputs, Tensor? sinks, Tensor dz) = Inputs(rows, length, heads, width, hasSinks);
        Tensor[] own = Run(inputs, sinks, dz);

        Tensor[] wide = [.. inputs.Select(input => input.to(ScalarType.Float64).requires_grad_())];
        Tensor? wideSinks = sinks?.to(ScalarType.Float64).requires_grad_();
        Tensor expected = Textbook(wide, wideSinks);
        expected.backward([dz.to(ScalarType.Float64)]);
        RequireNear(own[0], expected);
        for (int i = 0; i < 3; i++) RequireNear(own[1 + i], wide[i].grad!);
        if (wideSinks is not null) RequireNear(own[4].sum([0L]), wideSinks.grad!);
    }

    [Fact]
    public void Forward_ScoresFarApart_EqualsTheTextbook()
    {
        using var scope = NewDisposeScope();
        (Tensor[] inputs, Tensor? sinks, Tensor dz) = Inputs(1, 21, 2, 16, true);
        inputs[0].mul_(60);
        RequireNear(Run(inputs, sinks, dz)[0], Textbook([.. inputs.Select(input => input.to(ScalarType.Float64))], sinks!.to(ScalarType.Float64)), tolerance: 2e-4);
    }

    [Fact]
    public void ForwardAndBackward_OnOneThreadAndOnAll_GiveTheSameBits()
    {
        using var scope = NewDisposeScope();
        (Tensor[] inputs, Tensor? sinks, Tensor dz) = Inputs(4, 37, 5, 20, true);
        Tensor[] onAll = Run(inputs, sinks, dz);
        Tensor[] onOne = Threads.WithOne(() => Run(inputs, sinks, dz));
        foreach ((Tensor first, Tensor second) in onAll.Zip(onOne)) second.HasSameElements(first).ShouldBeTrue();
    }

    /// <summary>Queries, keys and values [rows, length, heads, width], sinks, and the gradient of the output.</summary>
    private static (Tensor[] Inputs, Tensor? Sinks, Tensor Gradient) Inputs(int rows, int length, int heads, int width, bool hasSinks)
    {
        using Generator generator = new(5);
        Tensor Draw() => randn([rows, length, heads, width], generator: generator);
        return ([Draw(), Draw(), Draw()], hasSinks ? randn([heads], generator: generator) : null, Draw());
    }

    /// <summary>The output, the gradients of queries, keys and values, and those of the sinks for each sequence.</summary>
    private static unsafe Tensor[] Run(Tensor[] inputs, Tensor? sinks, Tensor dz)
    {
        (int rows, int length, int heads, int width) = ((int)dz.shape[0], (int)dz.shape[1], (int)dz.shape[2], (int)dz.shape[3]);
        CausalAttention attention = new(rows, length, heads, width, Scale(width));
        Tensor z = full_like(dz, float.NaN), logs = full([rows, heads, length], float.NaN), dq = dz.clone(), dk = full_like(dz, float.NaN), dv = full_like(dz, float.NaN), dsinks = zeros(rows, heads);
        float* q = HostMemory.Address(inputs[0]), k = HostMemory.Address(inputs[1]), v = HostMemory.Address(inputs[2]);
        float* sink = sinks is null ? null : HostMemory.Address(sinks);
        attention.Forward(q, k, v, sink, HostMemory.Address(z), HostMemory.Address(logs));
        attention.Backward(
            q, k, v, sink, HostMemory.Address(z), HostMemory.Address(logs), HostMemory.Address(dq), HostMemory.Address(dq), HostMemory.Address(dk), HostMemory.Address(dv),
            sink is null ? null : HostMemory.Address(dsinks));
        return [z, dq, dk, dv, dsinks];
    }

    private static Tensor Textbook(Tensor[] inputs, Tensor? sinks)
    {
        Tensor[] byHead = [.. inputs.Select(input => input.transpose(1, 2))];
        (long rows, long heads, long length, long width) = (byHead[0].shape[0], byHead[0].shape[1], byHead[0].shape[2], byHead[0].shape[3]);
        Tensor hidden = ones([length, length], ScalarType.Bool).triu(1);
        Tensor scores = (byHead[0].matmul(byHead[1].transpose(2, 3)) * (double)Scale(width)).masked_fill(hidden, double.NegativeInfinity);
        if (sinks is not null) scores = cat([scores, sinks.view(1, heads, 1, 1).expand(rows, heads, length, 1)], -1);
        return scores.softmax(-1).narrow(-1, 0, length).matmul(byHead[2]).transpose(1, 2);
    }

    private static float Scale(long width) => (float)(1 / Math.Sqrt(width));

    private static void RequireNear(Tensor actual, Tensor expected, double tolerance = 1e-5)
    {
        double largest = Math.Max(1, expected.abs().max().item<double>());
        (actual - expected).abs().max().item<double>().ShouldBeLessThan(tolerance * largest);
    }
}
