using System.Buffers.Binary;
using System.Text;
using Lab.Testing;
using TorchSharp;

namespace Lab.Tensors.Tests;

public sealed class SafetensorsFuzzTests : IDisposable
{
    private const int Mutations = 10_000;

    /// <summary>What opening a file and loading all of it may take: 64 KiB, and 64 bytes for each of the file's.</summary>
    private const int BudgetBase = 64 << 10;
    private const int BudgetFactor = 64;

    private static readonly byte[][] Fragments =
    [
        .. ((string[])["\"", "{", "}", "[", "]", ",", ":", "-1", "0", "1e9", "4294967296", "9223372036854775807", "99999999999999999999", "\"F64\"", "\"BOOL\"", "\"F4\"", "\"dtype\"", "\"shape\"", "\"__metadata__\"", "null", "\\ud800", "[[[["])
            .Select(Encoding.UTF8.GetBytes),
        [0xFF],
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void OpenAndLoad_OfAMutatedFile_SucceedsOrNamesPathAndPlaceWithinTheBudget()
    {
        SafetensorsWriter.Write(_folder["good"], Samples(), new Dictionary<string, string> { ["k"] = "v" });
        byte[] good = File.ReadAllBytes(_folder["good"]);
        int headerEnd = sizeof(ulong) + (int)BinaryPrimitives.ReadUInt64LittleEndian(good);
        string path = _folder["mutant"];
        Random random = new(1);
        int refused = 0;
        for (int i = 0; i < Mutations; i++)
        {
            byte[] mutant = Mutant(good, headerEnd, random);
            File.WriteAllBytes(path, mutant);

            (InvalidDataException? refusal, long allocated) = Mutants.Try(() => ReadAll(path, mutant.Length));

            allocated.ShouldBeLessThan(BudgetBase + (BudgetFactor * mutant.Length), customMessage: $"mutation {i}");
            if (refusal is null) continue;
            refusal.Message.ShouldStartWith(path + ": ");
            refusal.Message[path.Length..].ShouldMatch("tensor '|__metadata__|header|bytes", $"mutation {i}");
            refused++;
        }

        refused.ShouldBeInRange(Mutations / 2, Mutations - 100);
    }

    private static HostTensor[] Samples() =>
    [
        HostTensor.FromFloats("wte", [1, 2, 3, 4, 5, 6], 3, 2),
        new HostTensor("half \"ü\\", TensorDataType.Float16, [3], new byte[] { 1, 2, 3, 4, 5, 6 }),
        new HostTensor("ids", TensorDataType.Int64, [2], new byte[16]),
        new HostTensor("none", TensorDataType.Float64, [0, 5], default),
    ];

    /// <summary>A damaged header, half of the time with a length that is right again, so that what is in it is read.</summary>
    private static byte[] Mutant(byte[] good, int headerEnd, Random random)
    {
        byte[] mutant = Mutants.Mutate(good, random.Next(10) == 0 ? 0 : sizeof(ulong), headerEnd, random, Fragments);
        long length = headerEnd - sizeof(ulong) + mutant.Length - good.Length;
        if (random.Next(2) == 0 && length >= 0) BinaryPrimitives.WriteInt64LittleEndian(mutant, length);
        return mutant;
    }

    private static void ReadAll(string path, int fileLength)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        foreach (SafetensorsEntry entry in file.Entries.Values)
        {
            entry.ByteCount.ShouldBeLessThanOrEqualTo(fileLength);
            if (entry.DataType is null) continue;
            long elements = file.Read(entry.Name).ElementCount;
            using torch.Tensor tensor = file.Load(entry.Name);
            tensor.numel().ShouldBe(elements);
        }
    }
}
