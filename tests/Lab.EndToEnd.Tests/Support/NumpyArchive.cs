using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Lab.Tensors;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>Reads the arrays of an .npz file, of which there are FP32 ones in C order only.</summary>
internal static partial class NumpyArchive
{
    private const int MagicBytes = 8;

    public static Dictionary<string, HostTensor> Read(string path)
    {
        using ZipArchive archive = ZipFile.OpenRead(path);
        return archive.Entries.Select(Read).ToDictionary(tensor => tensor.Name);
    }

    private static HostTensor Read(ZipArchiveEntry entry)
    {
        using MemoryStream copy = new();
        using (Stream content = entry.Open()) content.CopyTo(copy);
        byte[] bytes = copy.ToArray();
        // Version 1.0: "\x93NUMPY", two bytes of version, two of the header's length, the header as a Python dictionary.
        int start = MagicBytes + sizeof(ushort);
        int end = start + BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(MagicBytes));
        string header = Encoding.ASCII.GetString(bytes, start, end - start);
        header.ShouldContain("'descr': '<f4', 'fortran_order': False");
        long[] shape = [.. Shape().Match(header).Groups[1].Value
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(size => long.Parse(size, CultureInfo.InvariantCulture))];
        return new HostTensor(Path.GetFileNameWithoutExtension(entry.Name), TensorDataType.Float32, shape, bytes.AsMemory(end));
    }

    [GeneratedRegex(@"'shape': \(([^)]*)\)")]
    private static partial Regex Shape();
}
