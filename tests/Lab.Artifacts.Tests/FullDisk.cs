namespace Lab.Artifacts.Tests;

/// <summary>A disk with room for a number of bytes, all files together.</summary>
internal sealed class FullDisk(long bytesFree) : IWriteStreams
{
    private const int NoSpaceLeft = 28;
    private long _bytesFree = bytesFree;

    public Stream Create(string path) => new FullStream(this, DiskWriteStreams.Instance.Create(path));

    private sealed class FullStream(FullDisk disk, Stream inner) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => inner.Length;

        public override long Position { get => inner.Position; set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count)
        {
            int room = (int)Math.Min(count, disk._bytesFree);
            inner.Write(buffer, offset, room);
            disk._bytesFree -= room;
            // What .NET throws for ENOSPC on Linux: the HResult is the bare error number.
            if (room < count) throw new IOException("No space left on device", NoSpaceLeft);
        }

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
