namespace Lab.Tensors.Tests;

public sealed class HostTensorTests
{
    [Fact]
    public void FromFloats_GivenMatchingShape_KeepsValues()
    {
        HostTensor tensor = HostTensor.FromFloats("x", [1, 2, 3, 4, 5, 6], 2, 3);

        tensor.ElementCount.ShouldBe(6);
        tensor.DataType.ShouldBe(TensorDataType.Float32);
        tensor.Floats.ToArray().ShouldBe([1, 2, 3, 4, 5, 6]);
    }

    [Fact]
    public void FromFloats_WithoutDimensions_IsScalar() => HostTensor.FromFloats("x", [7]).ElementCount.ShouldBe(1);

    [Fact]
    public void Constructor_WrongByteCount_NamesBothNumbers()
    {
        ArgumentException error = Should.Throw<ArgumentException>(() => new HostTensor("x", TensorDataType.Int64, [3], new byte[23]));

        error.Message.ShouldContain("'x'");
        error.Message.ShouldContain("24 bytes, but has 23");
    }

    [Theory]
    [InlineData(new long[] { -1 }, "negative dimension -1")]
    [InlineData(new long[] { 1L << 40, 1L << 40 }, "more bytes than 64 bits")]
    [InlineData(new long[] { 1L << 40, 1L << 40, 0 }, "more bytes than 64 bits")]
    [InlineData(new long[] { long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue }, "more bytes than 64 bits")]
    [InlineData(new long[] { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, "9 dimensions")]
    public void Constructor_UnlawfulShape_SaysWhy(long[] shape, string reason) =>
        Should.Throw<ArgumentException>(() => new HostTensor("x", TensorDataType.Float32, shape, default)).Message.ShouldContain(reason);

    [Fact]
    public void Floats_OfIntegers_Throws() =>
        Should.Throw<InvalidOperationException>(() => new HostTensor("x", TensorDataType.Int32, [1], new byte[4]).Floats.Length);

    [Fact]
    public void Equals_ComparesContents()
    {
        HostTensor tensor = HostTensor.FromFloats("x", [1, 2], 2);

        tensor.ShouldBe(HostTensor.FromFloats("x", [1, 2], 2));
        tensor.ShouldNotBe(HostTensor.FromFloats("x", [1, 3], 2));
        tensor.ShouldNotBe(HostTensor.FromFloats("x", [1, 2], 1, 2));
        tensor.ShouldNotBe(HostTensor.FromFloats("y", [1, 2], 2));
    }
}
