using Google.Protobuf;
using Lab.Protos.Tensor.V1;
using Lab.Testing;

namespace Lab.Tensors.Tests;

public sealed class TensorFrameFuzzTests
{
    private const int Mutations = 10_000;

    /// <summary>What the reader is allowed for the tensors of a stream.</summary>
    private const int TensorBytes = 64 << 10;

    /// <summary>What a stream may take besides: messages, shapes, enumerators.</summary>
    private const int BudgetBase = 16 << 10;

    private static readonly long[] Numbers = [0, 1, -1, 2, 7, 8, 16384, 16385, TensorBytes, int.MaxValue, int.MinValue, 1L << 32, 1L << 40, long.MaxValue, long.MinValue];
    private static readonly byte[][] Fragments = [[0x08], [0x10], [0x12, 0x00], [0x1A, 0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]];

    [Fact]
    public void Accept_OfMutatedFrames_SucceedsOrNamesTheTensorWithinTheBudget()
    {
        HostTensor[] tensors = [HostTensor.FromFloats("x", [1, 0, 0, 4, 5, 6, 0, 8], 2, 4), HostTensor.FromFloats("none", [], 0, 3)];
        Random random = new(7);
        int refused = 0;
        for (int i = 0; i < Mutations; i++)
        {
            Encoding encoding = (Encoding)(1 + (i % 3));
            TensorFrame[] frames = Mutate([.. tensors.SelectMany(tensor => TensorFrames.Encode(tensor, encoding, chunkBytes: 9))], random);
            TensorFrameReader reader = new(TensorBytes, TensorBytes);

            (InvalidDataException? refusal, long allocated) = Mutants.Try(() =>
            {
                foreach (TensorFrame frame in frames) (reader.Accept(frame)?.Data.Length ?? 0).ShouldBeLessThanOrEqualTo(TensorBytes);
                reader.Complete();
            });

            allocated.ShouldBeLessThan(TensorBytes + BudgetBase, customMessage: $"mutation {i}");
            if (refusal is null) continue;
            refusal.Message.ShouldMatch("^Tensor '.*': |^Chunk -?[0-9]+ came without a header|^A tensor frame holds neither", $"mutation {i}");
            refused++;
        }

        refused.ShouldBeInRange(Mutations / 2, Mutations - 100);
    }

    /// <summary>Damages one to three frames, by their fields or by their bytes on the wire; or loses, doubles or swaps them.</summary>
    private static TensorFrame[] Mutate(List<TensorFrame> frames, Random random)
    {
        for (int edits = random.Next(1, 4); edits > 0 && frames.Count > 0; edits--)
        {
            int at = random.Next(frames.Count);
            int other = random.Next(frames.Count);
            switch (random.Next(8))
            {
                case 0: frames.RemoveAt(at); break;
                case 1: frames.Insert(at, frames[other]); break;
                case 2: (frames[at], frames[other]) = (frames[other], frames[at]); break;
                case 3 or 4: frames[at] = OnTheWire(frames[at], random); break;
                default: frames[at] = InAField(frames[at].Clone(), random); break;
            }
        }

        return [.. frames];
    }

    /// <summary>The frame after a change of its bytes; itself if they no longer are a frame.</summary>
    private static TensorFrame OnTheWire(TensorFrame frame, Random random)
    {
        byte[] bytes = frame.ToByteArray();
        try
        {
            TensorFrame mutant = TensorFrame.Parser.ParseFrom(Mutants.Mutate(bytes, 0, bytes.Length, random, Fragments));
            if (mutant.Chunk is { } chunk && random.Next(2) == 0) chunk.Crc32C = Crc32C.Compute(chunk.Data.Span);
            return mutant;
        }
        catch (InvalidProtocolBufferException)
        {
            return frame;
        }
    }

    private static TensorFrame InAField(TensorFrame frame, Random random)
    {
        long number = Numbers[random.Next(Numbers.Length)];
        switch (frame.FrameCase, random.Next(6))
        {
            case (TensorFrame.FrameOneofCase.Header, 0): frame.Header.ByteCount = number; break;
            case (TensorFrame.FrameOneofCase.Header, 1): frame.Header.ChunkCount = (int)number; break;
            case (TensorFrame.FrameOneofCase.Header, 2): frame.Header.Shape.Add(number); break;
            case (TensorFrame.FrameOneofCase.Header, 3): frame.Header.Shape[random.Next(frame.Header.Shape.Count)] = number; break;
            case (TensorFrame.FrameOneofCase.Header, 4): frame.Header.DataType = (DataType)random.Next(-1, 9); break;
            case (TensorFrame.FrameOneofCase.Header, _): frame.Header.Encoding = (Encoding)random.Next(-1, 6); break;
            case (TensorFrame.FrameOneofCase.Chunk, 0): frame.Chunk.Sequence = (int)number; break;
            case (TensorFrame.FrameOneofCase.Chunk, 1): frame.Chunk.Crc32C ^= 1; break;
            case (TensorFrame.FrameOneofCase.Chunk, _):
                byte[] data = Mutants.Mutate(frame.Chunk.Data.ToByteArray(), 0, frame.Chunk.Data.Length, random, [[0], [0x7F, 0xC0], [0xFF, 0xFF, 0xFF, 0xFF]]);
                frame.Chunk = new TensorChunk { Sequence = frame.Chunk.Sequence, Data = ByteString.CopyFrom(data), Crc32C = Crc32C.Compute(data) };
                break;
        }

        return frame;
    }
}
