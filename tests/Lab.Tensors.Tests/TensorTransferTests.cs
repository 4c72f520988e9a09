using TorchSharp;

namespace Lab.Tensors.Tests;

public sealed class TensorTransferTests
{
    public static TheoryData<TensorDataType> Types => [.. Enum.GetValues<TensorDataType>()];

    [Theory]
    [MemberData(nameof(Types))]
    public void ToHost_ThenToTorch_RestoresEveryType(TensorDataType type)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor original = torch.arange(24).reshape(2, 3, 4).to(type.ToScalarType());

        HostTensor host = original.ToHost("x");
        torch.Tensor restored = host.ToTorch();

        host.DataType.ShouldBe(type);
        host.Shape.ShouldBe([2, 3, 4]);
        host.Data.Length.ShouldBe(24 * type.Size());
        restored.dtype.ShouldBe(original.dtype);
        restored.eq(original).all().item<bool>().ShouldBeTrue();
    }

    [Fact]
    public void ReadBytes_OfManyPieces_AreThoseOfTheCopyInOrder()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor tensor = torch.arange((32 << 20) + 3, torch.int32);
        List<int> lengths = [];
        int next = 0;

        tensor.ReadBytes(piece =>
        {
            lengths.Add(piece.Length);
            foreach (int value in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(piece))
                if (value != next++) throw new InvalidDataException($"{value} at {next - 1}");
        });

        lengths.ShouldBe([64 << 20, 64 << 20, 12]);
        next.ShouldBe((32 << 20) + 3);
    }

    [Fact]
    public void ToHost_OfTransposedSliceWithGradient_IsRowMajor()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor leaf = torch.arange(12, dtype: torch.float32).reshape(3, 4).requires_grad_();

        HostTensor host = leaf[.., 1..3].t().ToHost("x");

        host.Shape.ShouldBe([2, 3]);
        host.Floats.ToArray().ShouldBe([1, 5, 9, 2, 6, 10]);
    }

    [Fact]
    public void ToHost_WithType_Converts()
    {
        using torch.Tensor source = torch.tensor(new double[] { 1.5, -2 });

        source.ToHost("x", TensorDataType.Float32).Floats.ToArray().ShouldBe([1.5f, -2]);
    }

    /// <summary>Elements on both sides of where the copy goes on with the next block, and in the last, short one.</summary>
    [Theory]
    [InlineData(TensorDataType.Float32, 0, float.NaN)]
    [InlineData(TensorDataType.Float32, 32767, float.PositiveInfinity)]
    [InlineData(TensorDataType.Float32, 32768, float.NegativeInfinity)]
    [InlineData(TensorDataType.Float32, 70000, float.NaN)]
    [InlineData(TensorDataType.Float64, 16384, float.NaN)]
    [InlineData(TensorDataType.BFloat16, 65537, float.PositiveInfinity)]
    [InlineData(TensorDataType.Float16, 69999, float.NaN)]
    [InlineData(TensorDataType.Float32, -1, 0)]
    public void ToHost_FindsTheFirstNonFinite_AndCopiesAll(TensorDataType type, int place, float value)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor source = torch.arange(70001, dtype: torch.float32).remainder(100);
        if (place >= 0)
        {
            source[place] = value;
            source[70000] = float.NaN;
        }

        HostTensor copy = source.ToHost("x", type, out long nonFinite);

        nonFinite.ShouldBe(place);
        copy.Equals(source.ToHost("x", type)).ShouldBeTrue();
    }

    [Fact]
    public void ToHost_OfBooleans_NamesTheType()
    {
        using torch.Tensor source = torch.ones(2, dtype: torch.ScalarType.Bool);

        Should.Throw<ArgumentException>(() => source.ToHost("mask")).Message.ShouldContain("'mask' has elements of type Bool");
    }

    [Theory]
    [InlineData(new long[0])]
    [InlineData(new long[] { 0 })]
    [InlineData(new long[] { 2, 0, 3 })]
    public void ToHost_OfScalarOrEmpty_RoundTrips(long[] shape)
    {
        using torch.Tensor source = torch.ones(shape);

        HostTensor host = source.ToHost("x");
        using torch.Tensor restored = host.ToTorch();

        host.Shape.ShouldBe(shape);
        restored.shape.ShouldBe(shape);
    }

    [Fact]
    public void Transfer_LeavesNoTensorBehind()
    {
        using torch.Tensor source = torch.ones(4, 4).t();
        source.ToHost("warm up").ToTorch().Dispose();
        DisposeScopeManager.Statistics.Reset();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (int i = 0; i < 10; i++) source.ToHost("x", TensorDataType.Float64).ToTorch().Dispose();

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }
}
