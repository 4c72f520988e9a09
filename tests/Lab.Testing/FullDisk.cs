namespace Lab.Testing;

/// <summary>A disk with room for a number of bytes, all files together.</summary>
/// <param name="bytesFree">The room.</param>
public sealed class FullDisk(long bytesFree)
{
    private const int NoSpaceLeft = 28;
    private long _bytesFree = bytesFree;

    /// <summary>Creates a file, for the seams of what writes durably. Writes beyond the room fail as they do on Linux.</summary>
    /// <param name="path">A file that must not exist.</param>
    public Stream Create(string path) => new FullStream(this, new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None));

    private sealed class FullStream(FullDisk disk, FileStream file) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => file.Length;

        public override long Position { get => file.Position; set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            int room = (int)Math.Min(buffer.Length, disk._bytesFree);
            file.Write(buffer[..room]);
            disk._bytesFree -= room;
            // What .NET throws for ENOSPC on Linux: the HResult is the bare error number.
            if (room < buffer.Length) throw new IOException("No space left on device", NoSpaceLeft);
        }

        public override void Flush() => file.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) file.Dispose();
            base.Dispose(disposing);
        }
    }
}
