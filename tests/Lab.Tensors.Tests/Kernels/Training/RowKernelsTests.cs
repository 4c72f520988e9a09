using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Tensors.Tests.Kernels.Training;

/// <summary>Entry-wise kernels against libtorch in FP64, at lengths that are no multiple of a vector or of a part.</summary>
public sealed class RowKernelsTests
{
    public static TheoryData<int> Counts => [1, 15, 16, 17, 1000, (1 << 14) - 1, (1 << 14) + 1, (1 << 18) + 33];

    [Theory]
    [MemberData(nameof(Counts))]
    public unsafe void Add_AnyLength_EqualsTorch(int count)
    {
        using var scope = NewDisposeScope();
        (Tensor a, Tensor b, Tensor y) = (Random(1, count), Random(2, count), Guarded(count));
        RowKernels.Add(HostMemory.Address(a), HostMemory.Address(b), HostMemory.Address(y), count);
        y.narrow(0, 0, count).HasSameElements(a + b).ShouldBeTrue();
        RequireGuard(y, count);
    }

    [Theory]
    [MemberData(nameof(Counts))]
    public unsafe void Gelu_AnyLength_EqualsTorchAndItsGradient(int count)
    {
        using var scope = NewDisposeScope();
        (Tensor x, Tensor y, Tensor dy) = (Random(1, count) * 3, Guarded(count), Guarded(count));
        Tensor incoming = Random(2, count) * (Random(3, count) > 0), wide = x.to(ScalarType.Float64).requires_grad_();
        dy.narrow(0, 0, count).copy_(incoming);
        RowKernels.Gelu(HostMemory.Address(x), HostMemory.Address(y), count);
        RowKernels.GeluBackward(HostMemory.Address(x), HostMemory.Address(dy), count);
        Tensor expected = F.gelu(wide);
        expected.backward([incoming.to(ScalarType.Float64)]);
        (y.narrow(0, 0, count) - expected).abs().max().item<double>().ShouldBeLessThan(2e-6);
        (dy.narrow(0, 0, count) - wide.grad!).abs().max().item<double>().ShouldBeLessThan(4e-6);
        RequireGuard(y, count);
        RequireGuard(dy, count);
    }

    [Theory]
    [MemberData(nameof(Counts))]
    public unsafe void Relu_AnyLength_EqualsTorchAndItsGradient(int count)
    {
        using var scope = NewDisposeScope();
        (Tensor x, Tensor y, Tensor dy) = (Random(1, count) * (Random(3, count) > 0), Guarded(count), Guarded(count));
        Tensor incoming = Random(2, count), leaf = x.clone().requires_grad_();
        dy.narrow(0, 0, count).copy_(incoming);
        RowKernels.Relu(HostMemory.Address(x), HostMemory.Address(y), count);
        RowKernels.ReluBackward(HostMemory.Address(x), HostMemory.Address(dy), count);
        Tensor expected = F.relu(leaf);
        expected.backward([incoming]);
        y.narrow(0, 0, count).HasSameElements(expected).ShouldBeTrue();
        dy.narrow(0, 0, count).HasSameElements(leaf.grad!).ShouldBeTrue();
        RequireGuard(y, count);
        RequireGuard(dy, count);
    }

    [Theory]
    [MemberData(nameof(Counts))]
    public unsafe void CountNonzero_AnyLength_CountsAllButBothZeros(int count)
    {
        using var scope = NewDisposeScope();
        Tensor x = Random(1, count) * (Random(2, count) > 0.5);
        x[0] = float.NaN;
        x[count - 1] = float.Epsilon;
        long expected = x.data<float>().ToArray().LongCount(value => value != 0);
        RowKernels.CountNonzero(HostMemory.Address(x), count).ShouldBe(expected);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(7, 3, 17)]
    [InlineData(300, 100, 130)]
    public unsafe void Gather_WithAndWithoutPositions_LooksUpAndAdds(int rows, int length, int columns)
    {
        using var scope = NewDisposeScope();
        (Tensor table, Tensor positions, Tensor y) = (Random(1, 11, columns), Random(2, length, columns), Guarded(rows * columns));
        int[] ids = [.. Enumerable.Range(0, rows).Select(row => row * 7 % 11)];
        Tensor expected = table.index_select(0, tensor(ids).to(ScalarType.Int64)), places = arange(rows, ScalarType.Int64).remainder(length);
        fixed (int* id = ids)
        {
            RowKernels.Gather(HostMemory.Address(table), id, null, length, HostMemory.Address(y), rows, columns);
            y.narrow(0, 0, rows * columns).view(rows, columns).HasSameElements(expected).ShouldBeTrue();
            RowKernels.Gather(HostMemory.Address(table), id, HostMemory.Address(positions), length, HostMemory.Address(y), rows, columns);
        }

        y.narrow(0, 0, rows * columns).view(rows, columns).HasSameElements(expected + positions.index_select(0, places)).ShouldBeTrue();
        RequireGuard(y, rows * columns);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 33)]
    [InlineData(700, 64)]
    public unsafe void Fill_AnyShape_RepeatsTheRow(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        (Tensor row, Tensor y) = (Random(1, columns), Guarded(rows * columns));
        RowKernels.Fill(HostMemory.Address(row), HostMemory.Address(y), rows, columns);
        y.narrow(0, 0, rows * columns).view(rows, columns).HasSameElements(row.expand(rows, columns)).ShouldBeTrue();
        RequireGuard(y, rows * columns);
    }

    private static Tensor Random(ulong seed, params long[] shape)
    {
        using Generator generator = new(seed);
        return randn(shape, generator: generator);
    }

    /// <summary>Room for so many entries, and what must stay as it is behind them.</summary>
    private static Tensor Guarded(long count) => full([count + 16], 7f);

    private static void RequireGuard(Tensor y, long count) => y.narrow(0, count, 16).HasSameElements(full([16], 7f)).ShouldBeTrue();
}
