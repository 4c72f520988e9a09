using Microsoft.Extensions.Time.Testing;

namespace Lab.Tensors.Tests;

public sealed class HostBufferPoolTests
{
    private const int Size = HostBufferPool.SmallestBytes;

    private readonly FakeTimeProvider _time = new();
    private readonly HostBufferPool _pool;

    public HostBufferPoolTests() => _pool = new HostBufferPool(_time, 3L * Size, TimeSpan.FromSeconds(5));

    [Fact]
    public void Rent_AfterReturn_GivesTheSameMemory_OnlyForTheSameSize()
    {
        byte[] buffer = _pool.Rent(Size);
        _pool.Return(Tensor(buffer));

        _pool.Rent(Size + 4).ShouldNotBeSameAs(buffer);
        _pool.Rent(Size).ShouldBeSameAs(buffer);
        _pool.Rent(Size).ShouldNotBeSameAs(buffer);
    }

    [Fact]
    public void Return_BeyondCapacity_KeepsNoMore()
    {
        for (int i = 0; i < 5; i++) _pool.Return(Tensor(new byte[Size]));

        _pool.KeptBytes.ShouldBe(3L * Size);
    }

    [Fact]
    public void Return_OfSmallOrPartialMemory_KeepsNothing()
    {
        byte[] buffer = new byte[2 * Size];
        _pool.Return(Tensor(new byte[Size - 4]));
        _pool.Return(Tensor(buffer.AsMemory(Size)));

        _pool.KeptBytes.ShouldBe(0);
    }

    [Fact]
    public void IdleMemory_IsLetGo_AndUsedMemoryIsNot()
    {
        byte[] used = new byte[Size];
        _pool.Return(Tensor(used));
        _pool.Return(Tensor(new byte[Size + 4]));
        _time.Advance(TimeSpan.FromSeconds(4));
        _pool.KeptBytes.ShouldBe((2L * Size) + 4);

        _time.Advance(TimeSpan.FromSeconds(2));
        _pool.Return(Tensor(_pool.Rent(Size)));
        _time.Advance(TimeSpan.FromSeconds(5));
        _pool.KeptBytes.ShouldBe(Size);

        _time.Advance(TimeSpan.FromSeconds(5));
        _pool.KeptBytes.ShouldBe(0);
        _pool.Rent(Size).ShouldNotBeSameAs(used);
    }

    private static HostTensor Tensor(ReadOnlyMemory<byte> data) => new("x", TensorDataType.Float32, [data.Length / 4], data);
}
