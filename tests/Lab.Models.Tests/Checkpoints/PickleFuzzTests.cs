using System.IO.Compression;
using System.Text;
using Lab.Models.Checkpoints;
using Lab.Models.Checkpoints.Pickles;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Checkpoints;

public sealed class PickleFuzzTests : IDisposable
{
    private const int Mutations = 10_000;

    /// <summary>What opening a file and loading all of it may take: 192 KiB, of which the end of the zip is 64, and 128 bytes for each of the pickle and the directory.</summary>
    private const int BudgetBase = 192 << 10;
    private const int BudgetFactor = 128;

    private static readonly string Golden = Path.Combine(AppContext.BaseDirectory, "Golden", "dense-layernorm-tied", "final_model.pt");

    private static readonly byte[][] PickleFragments =
    [
        .. ((string[])
        [
            "cposix\nsystem\n", "c__builtin__\neval\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch\nDoubleStorage\n", "ccollections\nOrderedDict\n", "iposix\nsystem\n",
            "(", ")", "R", "Q", "b", "o", "\u0081", "\u0092", "\u0093", "\u0094", "t", "u", "s", "a", "e", "]", "}", ".", "0", "2", "h\u0000", "h\u0001", "q\u0000", "j\u00ff\u0000\u0000\u0000",
            "J\u00ff\u00ff\u00ff\u00ff", "K\u0000", "M\u00ff\u00ff", "\u008a\u0008\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f", "\u008a\u0008\u0000\u0000\u0000\u0000\u0001\u0000\u0000\u0000", "X\u00ff\u00ff\u00ff\u007f", "\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff",
        ]).Select(Encoding.Latin1.GetBytes),
    ];

    private static readonly byte[][] ZipFragments =
    [
        "PK\u0001\u0002"u8.ToArray(), "PK\u0003\u0004"u8.ToArray(), "PK\u0005\u0006"u8.ToArray(), "PK\u0006\u0006"u8.ToArray(), "PK\u0006\u0007"u8.ToArray(),
        [0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0], [8, 0], [1], [24, 0],
    ];

    private static readonly Storages OneFloat = new(new Dictionary<string, int> { ["0"] = sizeof(float) });

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>PyTorch's own pickle, damaged. What is accepted then goes into a zip that is right, and all its tensors are loaded.</summary>
    [Fact]
    public void OpenAndLoad_OfAMutatedPickle_SucceedsOrNamesPathAndPlaceWithinTheBudget()
    {
        List<(string Name, byte[] Bytes)> files = Unzip();
        int pickle = files.FindIndex(file => file.Name.EndsWith("data.pkl", StringComparison.Ordinal));
        byte[] good = files[pickle].Bytes;
        Storages storages = new(files.ToDictionary(file => file.Name[(file.Name.LastIndexOf('/') + 1)..], file => file.Bytes.Length));
        string path = _folder["mutant.pt"];
        Random random = new(3);

        Fuzz(path, i =>
        {
            byte[] mutant = Mutants.Mutate(good, i % 10 == 0 ? 0 : 2, good.Length, random, PickleFragments);
            if (Mutants.Try(() => Unpickler.Read(mutant, path, storages)).Refusal is not null) return (() => Unpickler.Read(mutant, path, storages), mutant.Length);

            files[pickle] = (files[pickle].Name, mutant);
            byte[] zip = TorchFile.Zip(files);
            File.WriteAllBytes(path, zip);
            return (() => ReadAll(path, zip.Length), mutant.Length + (files.Count * 70));
        });
    }

    /// <summary>Small zips, damaged anywhere or in their directories; two of three keep their length, so that the directory is still found.</summary>
    [Fact]
    public void OpenAndLoad_OfAMutatedZip_SucceedsOrNamesPathAndPlaceWithinTheBudget()
    {
        byte[] pickle = TorchFile.StateDictionary(
            ("a", TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 6), 0, [2, 3], [3, 1])),
            ("b", TorchFile.Tensor(TorchFile.Storage("HalfStorage", "1", 4), 1, [3], [1])));
        byte[][] good = [.. ((bool[])[false, true]).Select(isZip64 => TorchFile.Zip(TorchFile.Files(pickle, new byte[24], new byte[8]), isZip64))];
        int[] directories = [.. good.Select(zip => zip.AsSpan().IndexOf("PK\u0001\u0002"u8))];
        string path = _folder["mutant.pt"];
        Random random = new(5);

        Fuzz(path, i =>
        {
            byte[] mutant = Mutate(i);
            while (i % 3 != 0 && mutant.Length != good[i % 2].Length) mutant = Mutate(i);
            File.WriteAllBytes(path, mutant);
            return (() => ReadAll(path, mutant.Length), mutant.Length);
        });

        byte[] Mutate(int i) => Mutants.Mutate(good[i % 2], i % 4 == 0 ? 0 : directories[i % 2], good[i % 2].Length, random, ZipFragments);
    }

    /// <summary>Pickles of 200,000 repeats that make much of few bytes.</summary>
    [Theory]
    [InlineData("]", "}a", "")]
    [InlineData("]", "]a", "")]
    [InlineData("N", "\u0085", "")]
    [InlineData("N", "\u0094", "")]
    [InlineData("]", "\u0088a", "")]
    [InlineData("]", "K\u0007a", "")]
    [InlineData("]", "X\u0001\u0000\u0000\u0000aa", "")]
    [InlineData("]X\u0001\u0000\u0000\u0000aq\u0000a", "}h\u0000Nsa", "")]
    [InlineData("]", "]Naa", "")]
    [InlineData("", "}", "more than 262144 values")]
    public void Read_OfAPickleThatIsAllOneThing_StaysWithinTheBudget(string first, string repeated, string refusal)
    {
        int repeats = refusal.Length > 0 ? 300_000 : 200_000;
        byte[] pickle = Encoding.Latin1.GetBytes($"\u0080\u0002{first}{string.Concat(Enumerable.Repeat(repeated, repeats))}.");
        if (pickle.Length > Unpickler.MaxBytes) pickle = [.. pickle[..(Unpickler.MaxBytes - 1)], (byte)'.'];

        (InvalidDataException? error, long allocated) = Mutants.Try(() => Unpickler.Read(pickle, "x.pt", OneFloat));

        (error?.Message ?? "").ShouldContain(refusal);
        if (refusal.Length == 0) error.ShouldBeNull();
        allocated.ShouldBeLessThan(BudgetBase + ((long)BudgetFactor * pickle.Length));
    }

    /// <summary>200,000 tensors of eight dimensions from one set of arguments.</summary>
    [Fact]
    public void Read_OfManyTensorsOfOneStorage_StaysWithinTheBudget()
    {
        byte[] tensor = TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 1), 0, [1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1]);
        // Memorises the arguments (1) and the global (0), then calls it again and again.
        byte[] start = [.. TorchFile.Global("torch._utils", "_rebuild_tensor_v2"), (byte)'q', 0, .. tensor.AsSpan(TorchFile.Global("torch._utils", "_rebuild_tensor_v2").Length)[..^1], (byte)'q', 1, (byte)'R'];
        byte[] pickle = TorchFile.Pickle([(byte)']', .. start, (byte)'a', .. Enumerable.Repeat("h\u0000h\u0001Ra", 200_000).SelectMany(Encoding.Latin1.GetBytes)]);

        (InvalidDataException? error, long allocated) = Mutants.Try(() => Unpickler.Read(pickle, "x.pt", OneFloat));

        error.ShouldBeNull();
        allocated.ShouldBeLessThan(BudgetBase + ((long)BudgetFactor * pickle.Length));
    }

    private static List<(string Name, byte[] Bytes)> Unzip()
    {
        using ZipArchive zip = ZipFile.OpenRead(Golden);
        List<(string Name, byte[] Bytes)> files = [];
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            using Stream stream = entry.Open();
            byte[] bytes = new byte[entry.Length];
            stream.ReadExactly(bytes);
            files.Add((entry.FullName, bytes));
        }

        return files;
    }

    private static void ReadAll(string path, long fileLength)
    {
        using ICheckpoint checkpoint = Checkpoint.OpenPickle(path);
        foreach (CheckpointTensor tensor in checkpoint.Tensors.Values)
        {
            tensor.ByteCount.ShouldBeLessThanOrEqualTo(fileLength);
            if (tensor.Type.ScalarType is null) continue;
            using Tensor loaded = checkpoint.Load(tensor.Name);
            using Tensor touched = loaded.contiguous();
            touched.bytes.Length.ShouldBe((int)tensor.ByteCount);
        }
    }

    /// <summary>Runs each mutation, which says how many bytes its budget is for.</summary>
    private static void Fuzz(string path, Func<int, (Action Read, int Bytes)> mutation)
    {
        int refused = 0;
        for (int i = 0; i < Mutations; i++)
        {
            (Action read, int bytes) = mutation(i);

            (InvalidDataException? refusal, long allocated) = Mutants.Try(read);

            allocated.ShouldBeLessThan(BudgetBase + (BudgetFactor * bytes), customMessage: $"mutation {i}");
            if (refusal is null) continue;
            refusal.Message.ShouldStartWith(path + ": ");
            refusal.Message[path.Length..].ShouldMatch("byte [0-9]+|data.pkl|version|byteorder|is no zip", $"mutation {i}");
            refused++;
        }

        refused.ShouldBeInRange(Mutations / 2, Mutations - 100);
    }

    /// <summary>Storages of these lengths, all at the file's begin.</summary>
    private sealed class Storages(Dictionary<string, int> lengths) : IPickleStorages
    {
        public bool TryFind(string key, out long offset, out long byteCount)
        {
            bool isThere = lengths.TryGetValue(key, out int length);
            (offset, byteCount) = (0, length);
            return isThere;
        }
    }
}
