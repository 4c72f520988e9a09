using System.Buffers.Binary;
using System.Text;

namespace Lab.Models.Tests.Checkpoints;

/// <summary>Writes .pt files by hand: a zip of stored files, and pickles of protocol 2.</summary>
internal static class TorchFile
{
    /// <summary>A zip of stored files. With zip64 it has that record and numbers of 64 bits for everything.</summary>
    public static byte[] Zip(IEnumerable<(string Name, byte[] Bytes)> files, bool isZip64 = false, ushort flags = 0, ushort method = 0)
    {
        MemoryStream zip = new();
        MemoryStream directory = new();
        int count = 0;
        foreach ((string name, byte[] bytes) in files)
        {
            long at = zip.Position;
            byte[] text = Encoding.UTF8.GetBytes(name);
            uint length = isZip64 ? uint.MaxValue : (uint)bytes.Length;
            byte[] extra = isZip64 ? [1, 0, 24, 0, .. Number(bytes.Length, 8), .. Number(bytes.Length, 8), .. Number(at, 8)] : [];
            byte[] common = [.. Number(flags, 2), .. Number(method, 2), 0, 0, 0, 0, 0, 0, 0, 0, .. Number(length, 4), .. Number(length, 4), .. Number(text.Length, 2)];
            zip.Write([0x50, 0x4B, 3, 4, 20, 0, .. common, 0, 0, .. text]);
            zip.Write(bytes);
            directory.Write(
            [
                0x50, 0x4B, 1, 2, 20, 0, 20, 0, .. common, .. Number(extra.Length, 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                .. Number(isZip64 ? uint.MaxValue : at, 4), .. text, .. extra,
            ]);
            count++;
        }

        long start = zip.Position;
        zip.Write(directory.ToArray());
        if (isZip64)
        {
            long record = zip.Position;
            zip.Write([0x50, 0x4B, 6, 6, .. Number(44, 8), 45, 0, 45, 0, .. new byte[8], .. Number(count, 8), .. Number(count, 8), .. Number(directory.Length, 8), .. Number(start, 8)]);
            zip.Write([0x50, 0x4B, 6, 7, 0, 0, 0, 0, .. Number(record, 8), 1, 0, 0, 0]);
        }

        byte[] total = Number(isZip64 ? ushort.MaxValue : count, 2);
        zip.Write([0x50, 0x4B, 5, 6, 0, 0, 0, 0, .. total, .. total, .. Number(isZip64 ? uint.MaxValue : directory.Length, 4), .. Number(isZip64 ? uint.MaxValue : start, 4), 0, 0]);
        return zip.ToArray();
    }

    /// <summary>The files of a checkpoint around a pickle: storages 0, 1, ... are as many bytes each as given.</summary>
    public static List<(string Name, byte[] Bytes)> Files(byte[] pickle, params byte[][] storages) =>
    [
        ("m/data.pkl", pickle),
        .. storages.Select((bytes, i) => ($"m/data/{i}", bytes)),
        ("m/version", "3\n"u8.ToArray()),
    ];

    /// <summary>A whole pickle of protocol 2 around what puts one value on the stack.</summary>
    public static byte[] Pickle(params byte[][] parts) => [0x80, 2, .. parts.SelectMany(part => part), (byte)'.'];

    /// <summary>A pickle of an OrderedDict of tensors.</summary>
    public static byte[] StateDictionary(params (string Name, byte[] Tensor)[] tensors) =>
        Pickle(OrderedDictionary(), "("u8.ToArray(), [.. tensors.SelectMany(tensor => (byte[])[.. Text(tensor.Name), .. tensor.Tensor])], "u"u8.ToArray());

    public static byte[] OrderedDictionary() => [.. Global("collections", "OrderedDict"), (byte)')', (byte)'R'];

    /// <summary>A tensor as torch._utils._rebuild_tensor_v2 takes it; tail comes after the hooks.</summary>
    public static byte[] Tensor(byte[] storage, long offset, long[] shape, long[] strides, params byte[] tail) =>
        [.. Global("torch._utils", "_rebuild_tensor_v2"), (byte)'(', .. storage, .. Integer(offset), .. Tuple(shape), .. Tuple(strides), 0x89, .. OrderedDictionary(), .. tail, (byte)'t', (byte)'R'];

    public static byte[] Storage(string type, string key, long count) =>
        [(byte)'(', .. Text("storage"), .. Global("torch", type), .. Text(key), .. Text("cpu"), .. Integer(count), (byte)'t', (byte)'Q'];

    public static byte[] Global(string module, string name) => [(byte)'c', .. Encoding.UTF8.GetBytes($"{module}\n{name}\n")];

    public static byte[] Text(string text) => [(byte)'X', .. Number(Encoding.UTF8.GetByteCount(text), 4), .. Encoding.UTF8.GetBytes(text)];

    public static byte[] Integer(long value) => [0x8A, 8, .. Number(value, 8)];

    public static byte[] Number(long value, int byteCount)
    {
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes[..byteCount];
    }

    private static byte[] Tuple(long[] values) => [(byte)'(', .. values.SelectMany(Integer), (byte)'t'];
}
