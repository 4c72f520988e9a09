using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Lab.Models.Corpora;

/// <summary>One file of token ids, memory-mapped. Owned by its <see cref="TokenCorpus"/>. Safe for use by many threads.</summary>
public sealed class TokenSplit : IDisposable
{
    internal const string TrainFile = "train.bin";
    internal const string HeldOutFile = "held_out.bin";

    private readonly string _path;
    private readonly bool _isWide;
    private readonly int _vocabSize;
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;

    private TokenSplit(string path, bool isWide, long length, int vocabSize)
    {
        (_path, _isWide, Length, _vocabSize) = (path, isWide, length, vocabSize);
        if (length == 0) return; // an empty file cannot be mapped
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    /// <summary>How many tokens there are.</summary>
    public long Length { get; }

    /// <summary>Copies the token ids from <paramref name="offset"/> on, as many as the destination holds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the split.</exception>
    /// <exception cref="InvalidDataException">A stored id is not in the vocabulary; the message names the file and the position.</exception>
    /// <exception cref="ObjectDisposedException">The corpus was closed.</exception>
    public void Read(long offset, Span<long> destination)
    {
        if (offset < 0 || offset > Length - destination.Length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"Tokens {offset} to {offset + destination.Length} are not within the {Length} tokens of {_path}.");
        }

        if (_view is null || destination.IsEmpty) return;
        Span<int> wide = stackalloc int[1024];
        Span<ushort> narrow = MemoryMarshal.Cast<int, ushort>(wide);
        for (int done = 0; done < destination.Length;)
        {
            int count = Math.Min(wide.Length, destination.Length - done);
            if (_isWide) _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(offset + done) * sizeof(int), wide[..count]);
            else _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(offset + done) * sizeof(ushort), narrow[..count]);
            for (int i = 0; i < count; i++)
            {
                int id = _isWide ? wide[i] : narrow[i];
                if ((uint)id >= (uint)_vocabSize) throw new InvalidDataException($"{_path} holds the id {id} at token {offset + done + i}, outside the vocabulary of {_vocabSize}.");
                destination[done + i] = id;
            }

            done += count;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _view?.Dispose();
        _file?.Dispose();
    }

    internal static TokenSplit Open(string path, bool isWide, long length, int vocabSize)
    {
        long bytes = new FileInfo(path).Length;
        int tokenBytes = isWide ? sizeof(int) : sizeof(ushort);
        return bytes % tokenBytes == 0 && bytes / tokenBytes == length
            ? new TokenSplit(path, isWide, length, vocabSize)
            : throw new InvalidDataException($"{path} has {bytes} bytes where {CorpusInfo.FileName} says {length} tokens of {tokenBytes} bytes each.");
    }
}
