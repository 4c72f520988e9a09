using Google.Protobuf;
using Lab.Protos.Tensor.V1;

namespace Lab.Tensors.Tests;

public sealed class TensorFrameReaderTests
{
    [Fact]
    public void Accept_SeveralTensorsInOneStream_RestoresEach()
    {
        HostTensor[] tensors = [HostTensor.FromFloats("a", [1, 2, 3], 3), HostTensor.FromFloats("none", [], 0), HostTensor.FromFloats("b", [4])];
        TensorFrameReader reader = new();

        HostTensor[] restored = [.. tensors.SelectMany(tensor => TensorFrames.Encode(tensor, chunkBytes: 4)).Select(reader.Accept).OfType<HostTensor>()];
        reader.Complete();

        restored.ShouldBe(tensors);
        reader.Header!.Name.ShouldBe("b");
    }

    [Theory]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Raw, 12, 1, "12 bytes cannot be shape [2]")]
    [InlineData(DataType.Unspecified, new long[] { 2 }, Encoding.Raw, 8, 1, "element type Unspecified")]
    [InlineData((DataType)99, new long[] { 2 }, Encoding.Raw, 8, 1, "element type 99")]
    [InlineData(DataType.Fp32, new long[] { 2 }, (Encoding)99, 8, 1, "encoding 99")]
    [InlineData(DataType.Fp32, new long[] { -2 }, Encoding.Raw, -8, 1, "negative dimension -2")]
    [InlineData(DataType.Fp32, new long[] { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, Encoding.Raw, 4, 1, "9 dimensions")]
    [InlineData(DataType.Fp32, new long[] { 1L << 32, 1L << 32 }, Encoding.Raw, 0, 0, "more bytes than 64 bits")]
    [InlineData(DataType.Fp32, new long[] { 1L << 60 }, Encoding.Raw, 1L << 62, 1, "at most 1000 are allowed")]
    [InlineData(DataType.Fp32, new long[] { 1L << 32, 1 }, Encoding.Int8Scaled, 5, 1, "at most 1000 are allowed")]
    [InlineData(DataType.Fp32, new long[] { 1L << 32 }, Encoding.Sparse, 8, 1, "at most 1000 are allowed")]
    [InlineData(DataType.Fp32, new long[] { 250 }, Encoding.Sparse, 16, 1, "at most 1000 are allowed")]
    [InlineData(DataType.Fp32, new long[] { 251 }, Encoding.Raw, 1004, 1, "takes 1004 bytes; at most 1000")]
    [InlineData(DataType.Fp32, new long[] { 2, 2 }, Encoding.Int8Scaled, 8, 1, "8 bytes cannot be")]
    [InlineData(DataType.Fp64, new long[] { 2, 2 }, Encoding.Int8Scaled, 12, 1, "12 bytes cannot be")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Sparse, 9, 1, "9 bytes cannot be")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Sparse, 32, 1, "32 bytes cannot be")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Sparse, -8, 1, "-8 bytes cannot be")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Raw, 8, 0, "8 bytes cannot come in 0 chunks")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Raw, 8, 9, "8 bytes cannot come in 9 chunks")]
    [InlineData(DataType.Fp32, new long[] { 2 }, Encoding.Raw, 8, -1, "8 bytes cannot come in -1 chunks")]
    [InlineData(DataType.Fp32, new long[] { 0 }, Encoding.Raw, 0, 1, "0 bytes cannot come in 1 chunks")]
    public void Accept_LyingHeader_NamesTensorAndReason(DataType type, long[] shape, Encoding encoding, long byteCount, int chunkCount, string reason)
    {
        TensorHeader header = new() { Name = "acts", DataType = type, Shape = { shape }, Encoding = encoding, ByteCount = byteCount, ChunkCount = chunkCount };
        TensorFrameReader reader = new(maxTensorBytes: 1000);

        string message = Should.Throw<InvalidDataException>(() => reader.Accept(new TensorFrame { Header = header })).Message;

        message.ShouldContain("'acts'");
        message.ShouldContain(reason);
    }

    [Fact]
    public void Accept_OverTheBudgetOfTheStream_NamesTheTensorThatExceedsIt()
    {
        TensorFrameReader reader = new(maxTotalBytes: 20);
        foreach (TensorFrame frame in TensorFrames.Encode(HostTensor.FromFloats("a", [1, 2, 3], 3))) reader.Accept(frame);

        Should.Throw<InvalidDataException>(() => reader.Accept(TensorFrames.Encode(HostTensor.FromFloats("b", [1, 2, 3], 3)).First()))
            .Message.ShouldBe("Tensor 'b': it takes 12 bytes; only 8 are left for the rest of the stream.");
    }

    [Fact]
    public void Accept_LyingHeaderWithinTheBudget_TakesNoMoreThanTheBudget()
    {
        TensorFrameReader reader = new(maxTensorBytes: 1 << 20);
        TensorHeader header = new() { Name = "x", DataType = DataType.Fp32, Shape = { 1L << 28 }, Encoding = Encoding.Raw, ByteCount = 1L << 30, ChunkCount = 1024 };
        long before = GC.GetAllocatedBytesForCurrentThread();

        Should.Throw<InvalidDataException>(() => reader.Accept(new TensorFrame { Header = header }));

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void Accept_ChangedByte_NamesTensorChunkAndOffset()
    {
        TensorFrame[] frames = Frames();
        byte[] changed = frames[2].Chunk.Data.ToByteArray();
        changed[1] ^= 4;
        frames[2].Chunk.Data = ByteString.CopyFrom(changed);

        Failure(frames).ShouldStartWith("Tensor 'x': chunk 1 at byte 8 has the CRC-32C ");
    }

    [Fact]
    public void Accept_LostChunk_NamesTheGap()
    {
        TensorFrame[] frames = Frames();

        Failure([frames[0], frames[1], frames[3]]).ShouldBe("Tensor 'x': chunk 2 at byte 8 came where chunk 1 must.");
    }

    [Fact]
    public void Accept_RepeatedChunk_NamesTheGap()
    {
        TensorFrame[] frames = Frames();

        Failure([frames[0], frames[1], frames[1]]).ShouldBe("Tensor 'x': chunk 0 at byte 8 came where chunk 1 must.");
    }

    [Fact]
    public void Accept_LastChunkTooShort_SaysWhatIsMissing()
    {
        TensorFrame[] frames = Frames();
        frames[3] = Chunk(2, new byte[3]);

        Failure(frames).ShouldBe("Tensor 'x': chunk 2 at byte 16 is the last, but 5 more bytes are missing.");
    }

    [Fact]
    public void Accept_ChunkTooLong_SaysWhatIsLeft()
    {
        TensorFrame[] frames = Frames();
        frames[3] = Chunk(2, new byte[9]);

        Failure(frames).ShouldBe("Tensor 'x': chunk 2 at byte 16 has 9 bytes, but only 8 are left.");
    }

    [Fact]
    public void Accept_EmptyChunk_IsRefused()
    {
        TensorFrame[] frames = Frames();
        frames[1] = Chunk(0, []);

        Failure(frames).ShouldBe("Tensor 'x': chunk 0 at byte 0 has 0 bytes; 1 to 1048576 are allowed.");
    }

    [Fact]
    public void Accept_HeaderInsideATensor_NamesBoth()
    {
        TensorFrame[] frames = Frames();
        TensorFrame other = TensorFrames.Encode(HostTensor.FromFloats("y", [1])).First();

        Failure([frames[0], frames[1], other]).ShouldBe("Tensor 'x': the header of 'y' came at byte 8 of 24, before chunk 1 of 3.");
    }

    [Fact]
    public void Accept_ChunkWithoutHeader_IsRefused()
    {
        TensorFrame[] frames = Frames();

        Failure([frames[1]]).ShouldContain("Chunk 0 came without a header");
        Failure([.. frames, Chunk(3, [1])]).ShouldContain("Chunk 3 came without a header that announces it, after tensor 'x'");
    }

    [Fact]
    public void Accept_EmptyFrame_IsRefused() => Failure([new TensorFrame()]).ShouldContain("neither");

    [Fact]
    public void Complete_InsideATensor_SaysWhere()
    {
        TensorFrameReader reader = new();
        foreach (TensorFrame frame in Frames()[..2]) reader.Accept(frame);

        Should.Throw<InvalidDataException>(reader.Complete).Message.ShouldBe("Tensor 'x': the stream ended at byte 8 of 24, before chunk 1 of 3.");
    }

    [Theory]
    [InlineData(new[] { 2, 0, 0, 1 }, "hold 1 elements, but 2 are announced")]
    [InlineData(new[] { -1, -1, 0, 1 }, "hold 1 elements, but -1 are announced")]
    [InlineData(new[] { 1, 0, 4, 1 }, "index 4 after -1 is not ascending or not below 4")]
    [InlineData(new[] { 1, 0, -1, 1 }, "index -1 after -1")]
    [InlineData(new[] { 2, 0, 3, 3, 1, 1 }, "index 3 after 3")]
    [InlineData(new[] { 2, 0, 3, 2, 1, 1 }, "index 2 after 3")]
    public void Accept_BadSparseBytes_NamesTensorAndReason(int[] words, string reason) =>
        Failure(Encoded(Encoding.Sparse, [4], [.. words.SelectMany(BitConverter.GetBytes)])).ShouldContain(reason);

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(-1)]
    public void Accept_BadScale_NamesTheRow(float scale) =>
        Failure(Encoded(Encoding.Int8Scaled, [2, 1], [.. BitConverter.GetBytes(1f), 1, .. BitConverter.GetBytes(scale), 1])).ShouldBe($"Tensor 'x': row 1 has the scale {scale}.");

    private static TensorFrame[] Frames() => [.. TensorFrames.Encode(HostTensor.FromFloats("x", [1, 2, 3, 4, 5, 6], 6), chunkBytes: 8)];

    private static TensorFrame Chunk(int sequence, byte[] data) =>
        new() { Chunk = new TensorChunk { Sequence = sequence, Data = ByteString.CopyFrom(data), Crc32C = Crc32C.Compute(data) } };

    private static TensorFrame[] Encoded(Encoding encoding, long[] shape, byte[] data) =>
    [
        new() { Header = new TensorHeader { Name = "x", DataType = DataType.Fp32, Shape = { shape }, Encoding = encoding, ByteCount = data.Length, ChunkCount = 1 } },
        Chunk(0, data),
    ];

    private static string Failure(IEnumerable<TensorFrame> frames)
    {
        TensorFrameReader reader = new();
        return Should.Throw<InvalidDataException>(() =>
        {
            foreach (TensorFrame frame in frames) reader.Accept(frame);
        }).Message;
    }
}
