namespace Lab.ServiceDefaults.Tests;

/// <summary>A disk with room for a number of bytes, all files together.</summary>
internal sealed class FullDisk(long bytesFree)
{
    private const int NoSpaceLeft = 28;
    private long _bytesFree = bytesFree;

    public static AtomicFile WithRoomFor(long bytes) => new(Creating(bytes));

    private static Func<string, Stream> Creating(long bytes)
    {
        var disk = new FullDisk(bytes);
        return path => new FullStream(disk, path);
    }

    private sealed class FullStream(FullDisk disk, string path) : MemoryStream
    {
        private readonly FileStream _file = new(path, FileMode.CreateNew, FileAccess.Write);

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            int room = (int)Math.Min(buffer.Length, disk._bytesFree);
            _file.Write(buffer[..room]);
            disk._bytesFree -= room;
            // What .NET throws for ENOSPC on Linux: the HResult is the bare error number.
            if (room < buffer.Length) throw new IOException("No space left on device", NoSpaceLeft);
        }

        protected override void Dispose(bool disposing)
        {
            _file.Dispose();
            base.Dispose(disposing);
        }
    }
}
