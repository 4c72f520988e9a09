using Lab.Protos.Tensor.V1;

namespace Lab.Tensors.Tests;

public sealed class TensorFramesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(24)]
    [InlineData(25)]
    [InlineData(TensorFrames.MaxChunkBytes)]
    public void Encode_Raw_RoundTripsInAnyChunkSize(int chunkBytes)
    {
        HostTensor tensor = HostTensor.FromFloats("blocks.0.hook_resid_post", [1, -2, 3, 4, 5, float.NaN], 2, 3);

        TensorFrame[] frames = [.. TensorFrames.Encode(tensor, chunkBytes: chunkBytes)];

        frames.Length.ShouldBe(1 + (24 + chunkBytes - 1) / chunkBytes);
        frames[0].Header.MaxAbsError.ShouldBe(0);
        Decode(frames).ShouldBe(tensor);
    }

    [Theory]
    [InlineData(Encoding.Raw)]
    [InlineData(Encoding.Unspecified)]
    [InlineData(Encoding.Int8Scaled)]
    [InlineData(Encoding.Sparse)]
    public void Encode_EmptyAndScalar_RoundTripsInEveryEncoding(Encoding encoding)
    {
        HostTensor empty = HostTensor.FromFloats("empty", [], 3, 0);
        HostTensor scalar = HostTensor.FromFloats("scalar", [127]);

        TensorFrames.Encode(empty, encoding).Count().ShouldBe(1);
        Decode(TensorFrames.Encode(empty, encoding)).ShouldBe(empty);
        Decode(TensorFrames.Encode(scalar, encoding)).ShouldBe(scalar);
    }

    [Fact]
    public void Encode_EveryType_RoundTrips()
    {
        foreach (TensorDataType type in Enum.GetValues<TensorDataType>())
        {
            HostTensor tensor = new("x", type, [3], Enumerable.Range(0, 3 * type.Size()).Select(i => (byte)i).ToArray());
            Decode(TensorFrames.Encode(tensor, chunkBytes: 5)).ShouldBe(tensor);
        }
    }

    [Fact]
    public void Encode_Raw_SharesTheTensorsMemoryAndIsLazy()
    {
        byte[] data = new byte[8];
        HostTensor tensor = new("x", TensorDataType.Int32, [2], data);
        using IEnumerator<TensorFrame> frames = TensorFrames.Encode(tensor, chunkBytes: 4).GetEnumerator();
        _ = frames.MoveNext();
        _ = frames.MoveNext();

        data[0] = 1;
        data[4] = 2;
        frames.Current.Chunk.Data[0].ShouldBe((byte)1);
        _ = frames.MoveNext();

        // The second chunk's checksum was computed after its byte changed.
        frames.Current.Chunk.Crc32C.ShouldBe(Crc32C.Compute([2, 0, 0, 0]));
    }

    [Fact]
    public void Encode_Int8Scaled_LaysOutScaleThenBytesPerRow()
    {
        HostTensor tensor = HostTensor.FromFloats("x", [254, -127, 1, 0, 0, 0], 2, 3);

        TensorFrame[] frames = [.. TensorFrames.Encode(tensor, Encoding.Int8Scaled)];

        byte[] scale = BitConverter.GetBytes(2f);
        frames[1].Chunk.Data.ToByteArray().ShouldBe([.. scale, 127, unchecked((byte)-64), 0, 0, 0, 0, 0, 0, 0, 0]);
        frames[0].Header.MaxAbsError.ShouldBe(1);
        Decode(frames).Floats.ToArray().ShouldBe([254, -128, 0, 0, 0, 0]);
    }

    [Fact]
    public void Encode_Int8Scaled_StatesTheErrorThatTheDecoderMakes()
    {
        Random random = new(3);
        float[] values = [.. Enumerable.Range(0, 20 * 150).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 4))))];
        HostTensor tensor = HostTensor.FromFloats("x", values, 20, 150);

        TensorFrame[] frames = [.. TensorFrames.Encode(tensor, Encoding.Int8Scaled, chunkBytes: 100)];
        float[] decoded = Decode(frames).Floats.ToArray();

        double worst = values.Zip(decoded, (a, b) => Math.Abs((double)a - b)).Max();
        frames[0].Header.MaxAbsError.ShouldBe(worst, tolerance: worst * 1e-6);
        worst.ShouldBeLessThanOrEqualTo(values.Max(MathF.Abs) / 127 / 2 * 1.0001);
    }

    [Theory]
    [InlineData(float.MaxValue)]
    [InlineData(float.Epsilon)]
    [InlineData(1e-42f)]
    public void Encode_Int8Scaled_OfExtremes_StaysFinite(float value)
    {
        TensorFrame[] frames = [.. TensorFrames.Encode(HostTensor.FromFloats("x", [value, -value], 2), Encoding.Int8Scaled)];

        float[] decoded = Decode(frames).Floats.ToArray();

        decoded.ShouldAllBe(element => float.IsFinite(element));
        frames[0].Header.MaxAbsError.ShouldBe(Math.Abs((double)value - decoded[0]), tolerance: value * 1e-6);
    }

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NegativeInfinity, 99)]
    public void Encode_Int8Scaled_OfNotFinite_NamesTheTensor(float value, int index)
    {
        float[] values = new float[100];
        values[index] = value;

        Should.Throw<ArgumentException>(() => TensorFrames.Encode(HostTensor.FromFloats("acts", values, 100), Encoding.Int8Scaled)).Message.ShouldContain("'acts'");
    }

    [Theory]
    [InlineData(Encoding.Int8Scaled)]
    [InlineData(Encoding.Sparse)]
    public void Encode_FloatEncodingOfIntegers_Throws(Encoding encoding) =>
        Should.Throw<ArgumentException>(() => TensorFrames.Encode(new HostTensor("ids", TensorDataType.Int32, [1], new byte[4]), encoding)).ParamName.ShouldBe("encoding");

    [Fact]
    public void Encode_Sparse_LaysOutCountIndicesValues()
    {
        HostTensor tensor = HostTensor.FromFloats("x", [0, 5, 0, 0, -0f, float.NaN], 2, 3);

        TensorFrame[] frames = [.. TensorFrames.Encode(tensor, Encoding.Sparse)];

        frames[1].Chunk.Data.ToByteArray().ShouldBe([
            .. BitConverter.GetBytes(3L), .. BitConverter.GetBytes(1), .. BitConverter.GetBytes(4), .. BitConverter.GetBytes(5),
            .. BitConverter.GetBytes(5f), .. BitConverter.GetBytes(-0f), .. BitConverter.GetBytes(float.NaN)]);
        Decode(frames).ShouldBe(tensor);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.25)]
    [InlineData(1)]
    public void Encode_Sparse_RoundTripsAtAnyDensity(double density)
    {
        Random random = new(5);
        float[] values = [.. Enumerable.Range(0, 1000).Select(_ => random.NextDouble() < density ? random.NextSingle() + 1 : 0)];
        HostTensor tensor = HostTensor.FromFloats("x", values, 10, 100);

        Decode(TensorFrames.Encode(tensor, Encoding.Sparse, chunkBytes: 64)).ShouldBe(tensor);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(TensorFrames.MaxChunkBytes + 1)]
    public void Encode_ChunkSizeOutOfRange_ThrowsAtOnce(int chunkBytes) =>
        Should.Throw<ArgumentOutOfRangeException>(() => TensorFrames.Encode(HostTensor.FromFloats("x", [1]), chunkBytes: chunkBytes));

    internal static HostTensor Decode(IEnumerable<TensorFrame> frames)
    {
        TensorFrameReader reader = new();
        HostTensor?[] results = [.. frames.Select(reader.Accept)];
        reader.Complete();
        results[..^1].ShouldAllBe(result => result == null);
        return results[^1].ShouldNotBeNull();
    }
}
