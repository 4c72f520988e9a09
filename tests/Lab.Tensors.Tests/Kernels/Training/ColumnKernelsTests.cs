using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels.Training;

public sealed class ColumnKernelsTests
{
    public static TheoryData<int, int> Shapes => new()
    {
        { 1, 1 },
        { 1, 64 },
        { 9, 15 },
        { 200, 63 },
        { 200, 64 },
        { 77, 65 },
        { 33, 257 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public unsafe void Sum_AnyShape_EqualsTheSumInFp64(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor x = randn([rows, columns], generator: generator), sums = full([columns + 1], 7f);
        ColumnKernels.Sum(HostMemory.Address(x), HostMemory.Address(sums), rows, columns);
        (sums.narrow(0, 0, columns) - x.to(ScalarType.Float64).sum([0L])).abs().max().item<double>().ShouldBeLessThan(3e-5);
        sums[columns].item<float>().ShouldBe(7);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public unsafe void ScatterAdd_RepeatedIds_EqualsIndexAddAndLeavesOtherRows(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(1);
        Tensor x = randn([rows, columns], generator: generator), table = randn([9, columns], generator: generator);
        int[] ids = [.. Enumerable.Range(0, rows).Select(row => row * row % 7)];
        Tensor expected = table.to(ScalarType.Float64).index_add(0, tensor(ids).to(ScalarType.Int64), x.to(ScalarType.Float64), 1), last = table[8].clone();
        fixed (int* id = ids) ColumnKernels.ScatterAdd(HostMemory.Address(x), id, HostMemory.Address(table), rows, columns);
        (table - expected).abs().max().item<double>().ShouldBeLessThan(3e-5);
        table[8].HasSameElements(last).ShouldBeTrue();
    }
}
