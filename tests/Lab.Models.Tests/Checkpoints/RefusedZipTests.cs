using System.Text;
using Lab.Models.Checkpoints;
using Lab.Testing;

namespace Lab.Models.Tests.Checkpoints;

public sealed class RefusedZipTests : IDisposable
{
    private static readonly byte[] Pickle = TorchFile.StateDictionary(("x", TorchFile.Tensor(TorchFile.Storage("FloatStorage", "0", 6), 0, [6], [1])));
    private static readonly List<(string Name, byte[] Bytes)> Files = TorchFile.Files(Pickle, new byte[24]);
    private static readonly byte[] Good = TorchFile.Zip(Files);
    private static readonly byte[] Good64 = TorchFile.Zip(Files, isZip64: true);
    private static readonly int Directory = Good.AsSpan().IndexOf("PK\u0001\u0002"u8);
    private static readonly int Directory64 = Good64.AsSpan().IndexOf("PK\u0001\u0002"u8);

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, byte[], string> Bad => new()
    {
        { "empty", [], "is no zip" },
        { "cut", Good[..^1], "is no zip" },
        { "bytes before", [0, .. Good], "does not end at byte" },
        { "bytes after", [.. Good, 0], "is no zip" },
        { "legacy pickle", Encoding.Latin1.GetBytes("\u0080\u0002\u008a\nl\u00fc\u009cF\u00f9 j\u00a8P\u0019."), "is no zip: it is cut short, or not a file of PyTorch 1.6 or later" },
        { "encrypted", TorchFile.Zip(Files, flags: 1), "'m/data.pkl' is encrypted" },
        { "compressed", TorchFile.Zip(Files, method: 8), "'m/data.pkl' is compressed (method 8)" },
        { "twice", TorchFile.Zip([.. Files, Files[1]]), "'m/data/0' is in the zip twice" },
        { "no pickle", TorchFile.Zip(Files[1..]), "has 0 data.pkl, not one" },
        { "two pickles", TorchFile.Zip([.. Files, ("n/data.pkl", [])]), "has 2 data.pkl, not one" },
        { "no version", TorchFile.Zip(Files[..^1]), "has no version" },
        { "version 11", TorchFile.Zip([.. Files[..^1], ("m/version", "11\n"u8.ToArray())]), "version is not a number from 1 to 10" },
        { "version text", TorchFile.Zip([.. Files[..^1], ("m/version", "three"u8.ToArray())]), "version is not a number from 1 to 10" },
        { "long version", TorchFile.Zip([.. Files[..^1], ("m/version", new byte[17])]), "version has 17 bytes; at most 16" },
        { "big-endian", TorchFile.Zip([.. Files, ("m/byteorder", "big"u8.ToArray())]), "byteorder is not 'little'" },
        { "huge pickle", TorchFile.Zip([("m/data.pkl", new byte[(4 << 20) + 1]), .. Files[1..]]), "data.pkl has 4194305 bytes; at most 4194304" },
        { "name of another", Edited(Good, 30, (byte)'n'), "zip, byte 0: the header of 'm/data.pkl' has another name" },
        { "control character", Edited(Good, Directory + 46, 7), "a name holds control characters" },
        { "not UTF-8", Edited(Good, Directory + 46, 0xFF), "a name is not UTF-8" },
        { "empty name", Edited(Good, Directory + 28, 0), "a name has 0 bytes" },
        { "long name", Edited(Good, Directory + 29, 0xFF), "leaves the directory" },
        { "no entry", Edited(Good, Directory, 0), $"zip, byte {Directory}: there is no directory entry" },
        { "no header", Edited(Good, 0, 0), "zip, byte 0: there is no header of 'm/data.pkl'" },
        { "other flags", Edited(Good, 6, 8), "the header of 'm/data.pkl' contradicts the directory" },
        { "other length", Edited(Good, 22, 1), "the header of 'm/data.pkl' says" },
        { "longer", Edited(Edited(Good, Directory + 20, 0xFF), Directory + 24, 0xFF), "run into what lies at byte" },
        { "two lengths", Edited(Good, Directory + 20, 1), "is stored, but its lengths are 1 and" },
        { "offset outside", Edited(Good, Directory + 45, 0x7F), "runs into what lies at byte" },
        { "same offset", Edited(Good, Directory + 42, (byte)(30 + 10 + Pickle.Length)), "runs into what lies at byte" },
        { "long header", Edited(Good, 29, 0xFF), "run into what lies at byte" },
        { "fewer entries", Edited(Edited(Good, Good.Length - 14, 2), Good.Length - 12, 2), "the directory has 3 entries, not 2" },
        { "many entries", Edited(Edited(Good, Good.Length - 13, 0xFF), Good.Length - 11, 0xFF), "65283 entries do not fit" },
        { "two parts", Edited(Good, Good.Length - 18, 1), "the zip has several parts" },
        { "directory elsewhere", Edited(Good, Good.Length - 6, 0), "does not end at byte" },
        { "directory length", Edited(Good, Good.Length - 7, 0xFF), "does not end at byte" },
        { "zip64 short field", Edited(Good64, Directory64 + 46 + 10 + 2, 16), "the zip64 field of 'm/data.pkl' is too short" },
        { "zip64 field leaves", Edited(Good64, Directory64 + 46 + 10 + 2, 25), "an extra field of 'm/data.pkl' leaves the entry" },
        { "zip64 negative", Edited(Good64, Directory64 + 46 + 10 + 11, 0x80), "the zip64 field of 'm/data.pkl' holds the number 92233720368547" },
        { "zip64 no field", Edited(Good64, Directory64 + 46 + 10, 9), "runs into what lies at byte" },
        { "zip64 record elsewhere", Edited(Good64, Good64.Length - 22 - 12, 0), "is not where it must be" },
        { "zip64 no record", Edited(Good64, Good64.Length - 22 - 20 - 56, 0), "there is no zip64 record" },
        { "zip64 other count", Edited(Good64, Good64.Length - 22 - 20 - 24, 9), "the zip64 record contradicts" },
        { "zip64 negative count", Edited(Edited(Good64, Good64.Length - 22 - 20 - 17, 0x80), Good64.Length - 22 - 20 - 25, 0x80), "the zip64 record contradicts" },
        { "zip64 negative offset", Edited(Good64, Good64.Length - 22 - 20 - 1, 0x80), "does not end at byte" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Bad))]
    public void Open_OfABadZip_NamesFileAndPlace(string what, byte[] bytes, string reason)
    {
        File.WriteAllBytes(_folder["x.pt"], bytes);

        string message = Should.Throw<InvalidDataException>(() => Checkpoint.OpenPickle(_folder["x.pt"]), what).Message;

        message.ShouldStartWith(_folder["x.pt"]);
        message.ShouldContain(reason, customMessage: what);
    }

    [Fact]
    public void Open_OfTheGoodZips_ReadsThem()
    {
        foreach (byte[] good in (byte[][])[Good, Good64])
        {
            File.WriteAllBytes(_folder["x.pt"], good);
            using ICheckpoint checkpoint = Checkpoint.OpenPickle(_folder["x.pt"]);
            checkpoint.Tensors["x"].Shape.ShouldBe([6]);
        }
    }

    [Fact]
    public void Open_OfMissingFile_NamesIt() => Should.Throw<FileNotFoundException>(() => Checkpoint.OpenPickle(_folder["none.pt"])).Message.ShouldContain("none.pt");

    private static byte[] Edited(byte[] bytes, int index, byte value)
    {
        byte[] edited = [.. bytes];
        edited[index].ShouldNotBe(value);
        edited[index] = value;
        return edited;
    }
}
