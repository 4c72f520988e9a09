using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Simd;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class MatrixUpdateTests
{
    private static readonly AdamConstants Constants = new(0.01, 0.9, 0.95, 0.1, 1.7, 3);

    [Theory]
    [InlineData(NeuronAxis.None, 0, 2000)]
    [InlineData(NeuronAxis.Rows, 4, 1500)]
    [InlineData(NeuronAxis.Columns, 4, 1500)]
    [InlineData(NeuronAxis.Rows, 4, 200 * 301)]
    public void Apply_OnePass_EqualsItsPartsBitForBit(NeuronAxis axis, int floor, long kept)
    {
        using var scope = NewDisposeScope();
        Tensor[] together = State(200, 301), apart = [.. together.Select(tensor => tensor.clone())];
        const double Decay = 1 - 0.1 * 0.0123;
        MatrixUpdate.Apply("w", together[0], together[1], together[2], together[3], Constants, new Projection(kept, axis, floor), Decay);
        AdamStep.Apply(apart[0], apart[1], apart[2], apart[3], Constants);
        SparseProjection.Apply(apart[0], kept, axis, floor);
        _ = apart[0].mul_(Decay);
        together[0].count_nonzero().item<long>().ShouldBe(kept);
        for (int i = 0; i < together.Length; i++) together[i].HasSameElements(apart[i]).ShouldBeTrue();
    }

    [Theory]
    [InlineData(NeuronAxis.None, 0.99f)]
    [InlineData(NeuronAxis.Rows, 0.99f)]
    [InlineData(NeuronAxis.Columns, 0.99f)]
    [InlineData(NeuronAxis.None, -0.5f)]
    [InlineData(NeuronAxis.Rows, -0.5f)]
    [InlineData(NeuronAxis.Columns, -0.5f)]
    public unsafe void Apply_EveryWidth_GivesTheSameBits(NeuronAxis axis, float decay)
    {
        using var scope = NewDisposeScope();
        Tensor[] start = State(61, 77);
        float[][] results = [.. Enum.GetValues<LaneWidth>().Select(width =>
        {
            Tensor[] state = [.. start.Select(tensor => tensor.clone())];
            WeightMatrix matrix = new(HostMemory.Address(state[0]), 61, 77, new Projection(900, axis, 3));
            AdamState adam = new(HostMemory.Address(state[1]), HostMemory.Address(state[2]), HostMemory.Address(state[3]), new AdamFactors(Constants, 1));
            if (width == LaneWidth.Sixteen) MatrixProjection<Lanes512, Vector512<float>, Vector512<int>>.Apply("w", matrix, adam, decay);
            else if (width == LaneWidth.Eight) MatrixProjection<Lanes256, Vector256<float>, Vector256<int>>.Apply("w", matrix, adam, decay);
            else MatrixProjection<Lanes1, float, int>.Apply("w", matrix, adam, decay);
            return cat([.. state.Select(tensor => tensor.flatten())]).data<float>().ToArray();
        })];
        Weights.Bits(results[1]).ShouldBe(Weights.Bits(results[0]));
        Weights.Bits(results[2]).ShouldBe(Weights.Bits(results[0]));
    }

    [Fact]
    public void Apply_TorchOperations_EqualTheKernelWithinRounding()
    {
        using var scope = NewDisposeScope();
        Tensor[] host = State(50, 40), wide = [.. host.Select(tensor => tensor.to(ScalarType.Float64))];
        Projection projection = new(400, NeuronAxis.Columns, 4);
        MatrixUpdate.Apply("w", host[0], host[1], host[2], host[3], Constants, projection, 0.999);
        MatrixUpdate.Apply("w", wide[0], wide[1], wide[2], wide[3], Constants, projection, 0.999);
        for (int i = 0; i < host.Length; i++) (host[i] - wide[i]).abs().max().item<double>().ShouldBeLessThan(1e-6);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Apply_GradientThatIsNotANumber_NamesTheMatrix(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor[] state = [.. State(10, 10).Select(tensor => tensor.to(type))];
        state[1][3, 7] = double.NaN;
        Should.Throw<ArithmeticException>(() => MatrixUpdate.Apply("transformer.wte.weight", state[0], state[1], state[2], state[3], Constants, new Projection(50)))
            .Message.ShouldContain("entry 37 of transformer.wte.weight is NaN");
    }

    [Fact]
    public unsafe void Apply_Repeated_AllocatesNothing()
    {
        using var scope = NewDisposeScope();
        Tensor[] state = State(300, 256);
        float* p = HostMemory.Address(state[0]), g = HostMemory.Address(state[1]), m = HostMemory.Address(state[2]), v = HostMemory.Address(state[3]);
        MatrixUpdate.Apply("w", p, g, m, v, 300, 256, Constants, new Projection(9000, NeuronAxis.Rows, 4), 0.99);
        SumOfSquares.Of(g, 300 * 256);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            MatrixUpdate.Apply("w", p, g, m, v, 300, 256, Constants, new Projection(9000, NeuronAxis.Rows, 4), 0.99);
            SumOfSquares.Of(g, 300 * 256);
        }

        GC.GetAllocatedBytesForCurrentThread().ShouldBe(before);
    }

    /// <summary>Parameter, gradient, first and second moment.</summary>
    private static Tensor[] State(int rows, int columns)
    {
        using Generator generator = new(9);
        return [randn([rows, columns], generator: generator), randn([rows, columns], generator: generator), randn([rows, columns], generator: generator), rand([rows, columns], generator: generator)];
    }
}
