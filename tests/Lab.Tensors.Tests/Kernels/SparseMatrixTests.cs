using CsCheck;
using Lab.Tensors.Kernels;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class SparseMatrixTests
{
    private static readonly Gen<Case> Cases = Gen.Select(
        Gen.OneOf(Gen.Int[1, 70], Gen.Int[71, 700]),
        Gen.OneOf(Gen.Int[1, 70], Gen.Int[71, 700]),
        Gen.Int[0, 70],
        Gen.OneOf(Gen.Const(0.0), Gen.Const(0.0005), Gen.Const(0.01), Gen.Const(0.1), Gen.Const(0.5), Gen.Const(1.0)),
        Gen.Bool,
        Gen.Bool,
        Gen.Int,
        (outputs, inputs, tokens, density, accumulates, hasBias, seed) => new Case(outputs, inputs, tokens, density, accumulates, hasBias, seed));

    public static TheoryData<int> Instructions =>
        [.. Enum.GetValues<SparseMatrixInstructions>().Where(instructions => instructions <= SparseMatrix.Best).Select(instructions => (int)instructions)];

    [Theory]
    [MemberData(nameof(Instructions))]
    public void Forward_RandomMatrices_EqualsTorch(int instructions) => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        Data data = new(drawn, (SparseMatrixInstructions)instructions);
        Tensor dense = data.X.matmul(data.Weight.t()), expected = dense;
        if (data.Bias is not null) expected = expected + data.Bias;
        if (drawn.Accumulates) expected = expected + data.Y;
        Run(data, drawn.Accumulates);
        RequireNear(data.Y, expected, drawn.Inputs);
    }, iter: 60);

    [Theory]
    [MemberData(nameof(Instructions))]
    public void InputGradient_RandomMatrices_EqualsTorch(int instructions) => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        Data data = new(drawn, (SparseMatrixInstructions)instructions);
        Tensor expected = data.Y.matmul(data.Weight);
        if (drawn.Accumulates) expected = expected + data.X;
        unsafe
        {
            data.Matrix.InputGradient(HostMemory.Address(data.Y), HostMemory.Address(data.X), drawn.Tokens, drawn.Accumulates);
        }

        RequireNear(data.X, expected, drawn.Outputs);
    }, iter: 60);

    [Fact]
    public void Forward_TokensAloneAndTogetherOnEveryPath_GivesTheSameBits() => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        byte[]? first = null;
        foreach (SparseMatrixInstructions instructions in Enum.GetValues<SparseMatrixInstructions>().Where(instructions => instructions <= SparseMatrix.Best))
        {
            Data data = new(drawn, instructions);
            Tensor start = data.Y.clone();
            Run(data, drawn.Accumulates);
            first ??= data.Y.bytes.ToArray();
            data.Y.bytes.SequenceEqual(first).ShouldBeTrue($"{instructions}");
            data.Y.copy_(start);
            for (int token = 0; token < drawn.Tokens; token++) Run(data, drawn.Accumulates, token, 1);
            data.Y.bytes.SequenceEqual(first).ShouldBeTrue($"{instructions}, one by one");
            data.Y.copy_(start);
            Threads.WithOne(() => Run(data, drawn.Accumulates));
            data.Y.bytes.SequenceEqual(first).ShouldBeTrue($"{instructions}, on one thread");
        }
    }, iter: 30);

    [Fact]
    public void Rebuild_OtherMatrixOfNoMoreEntries_AllocatesNothingAndForgetsTheFirst()
    {
        using var scope = NewDisposeScope();
        Data data = new(new Case(64, 96, 5, 0.1, false, false, 3), SparseMatrix.Best);
        long size = data.Matrix.SizeBytes;
        data.Weight.copy_(data.Weight.roll(1, 0));
        data.Weight[0].zero_();
        data.Matrix.Rebuild(data.Weight);
        data.Matrix.SizeBytes.ShouldBe(size);
        data.Matrix.NonzeroCount.ShouldBe((int)data.Weight.count_nonzero().item<long>());
        Run(data, false);
        RequireNear(data.Y, data.X.matmul(data.Weight.t()), 96);
        using Tensor other = ones(3, 200);
        data.Matrix.Rebuild(other);
        (data.Matrix.Outputs, data.Matrix.Inputs, data.Matrix.NonzeroCount).ShouldBe((3, 200, 600));
        RequireNear(data.Matrix.Forward(ones(2, 4, 200)), full([2, 4, 3], 200f), 200);
    }

    [Fact]
    public unsafe void Rebuild_Repeated_AllocatesNoManagedMemory()
    {
        using var scope = NewDisposeScope();
        Data data = new(new Case(300, 500, 1, 0.1, false, false, 3), SparseMatrix.Best);
        float* weight = HostMemory.Address(data.Weight), x = HostMemory.Address(data.X), y = HostMemory.Address(data.Y);
        long before = 0;
        for (int i = 0; i < 10; i++)
        {
            if (i == 1) before = GC.GetAllocatedBytesForCurrentThread();
            data.Matrix.Rebuild(weight, 300, 500);
            data.Matrix.Forward(x, y, 1);
            data.Matrix.InputGradient(y, x, 1);
        }

        GC.GetAllocatedBytesForCurrentThread().ShouldBe(before);
    }

    [Theory]
    [InlineData(4096, 1024, 64, 1, true)]
    [InlineData(4096, 1024, 64, 2048, true)]
    [InlineData(4096, 1024, 1, 1, false)]
    [InlineData(4096, 1024, 1, 2048, false)]
    [InlineData(16, 16, 64, 1, false)]
    [InlineData(16, 16, 64, 2048, true)]
    public void IsWorthwhile_OneOfSoManyEntries_AsMeasured(int outputs, int inputs, int oneOf, int tokens, bool expected) =>
        SparseMatrix.IsWorthwhile(outputs, inputs, (long)outputs * inputs / oneOf, tokens).ShouldBe(expected);

    [Fact]
    public void Forward_WrongShapesOrTypes_NamesTheArgument()
    {
        using var scope = NewDisposeScope();
        using SparseMatrix matrix = new(hasInputGradient: false);
        matrix.Rebuild(eye(3, 4));
        Should.Throw<ArgumentException>(() => matrix.Rebuild(zeros(3))).ParamName.ShouldBe("weight");
        Should.Throw<ArgumentException>(() => matrix.Rebuild(zeros([3, 4], ScalarType.Float64)));
        Should.Throw<ArgumentException>(() => matrix.Forward(zeros(2, 3))).ParamName.ShouldBe("x");
        Should.Throw<ArgumentException>(() => matrix.Forward(zeros(2, 4), zeros(4))).ParamName.ShouldBe("bias");
        unsafe
        {
            Should.Throw<InvalidOperationException>(() => matrix.InputGradient(null, null, 0));
        }
    }

    private static unsafe void Run(Data data, bool accumulates, int token = 0, int? tokens = null)
    {
        (int inputs, int outputs) = (data.Matrix.Inputs, data.Matrix.Outputs);
        data.Matrix.Forward(
            HostMemory.Address(data.X) + token * inputs, HostMemory.Address(data.Y) + token * outputs, tokens ?? (int)data.X.shape[0],
            data.Bias is null ? null : HostMemory.Address(data.Bias), accumulates);
    }

    private static void RequireNear(Tensor actual, Tensor expected, int terms) =>
        actual.allclose(expected, rtol: 1e-5, atol: 1e-5 * Math.Sqrt(terms)).ShouldBeTrue();

    internal sealed record Case(int Outputs, int Inputs, int Tokens, double Density, bool Accumulates, bool HasBias, int Seed);

    private sealed class Data
    {
        public Data(Case drawn, SparseMatrixInstructions instructions)
        {
            using Generator generator = new((ulong)(uint)drawn.Seed);
            Weight = randn([drawn.Outputs, drawn.Inputs], generator: generator) * (rand([drawn.Outputs, drawn.Inputs], generator: generator) < drawn.Density);
            X = randn([drawn.Tokens, drawn.Inputs], generator: generator);
            // Some of them 0 and -0, which adding to must leave so.
            Y = randn([drawn.Tokens, drawn.Outputs], generator: generator) * (rand([drawn.Tokens, drawn.Outputs], generator: generator) < 0.8);
            Bias = drawn.HasBias ? randn([drawn.Outputs], generator: generator) : null;
            Matrix = new SparseMatrix { Instructions = instructions };
            Matrix.Rebuild(Weight);
        }

        public Tensor Weight { get; }

        public Tensor X { get; }

        public Tensor Y { get; }

        public Tensor? Bias { get; }

        public SparseMatrix Matrix { get; }
    }
}
