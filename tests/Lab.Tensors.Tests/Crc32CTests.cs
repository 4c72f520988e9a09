using System.Text;

namespace Lab.Tensors.Tests;

public sealed class Crc32CTests
{
    [Fact]
    public void Compute_OfTheCheckString_IsTheCheckValue() => Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")).ShouldBe(0xE3069283);

    // RFC 3720, appendix B.4.
    [Theory]
    [InlineData(0x00, 0x8A9136AAu)]
    [InlineData(0xFF, 0x62A8AB43u)]
    public void Compute_OfTheStandardsVectors_IsTheirValue(byte value, uint crc) => Crc32C.Compute(Enumerable.Repeat(value, 32).ToArray()).ShouldBe(crc);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(4096)]
    [InlineData(3 * 4096 - 1)]
    [InlineData(3 * 4096)]
    [InlineData(3 * 4096 + 13)]
    [InlineData(100_003)]
    public void Compute_OfAnyLength_EqualsTheDefinition(int length)
    {
        byte[] data = new byte[length];
        new Random(length).NextBytes(data);

        Crc32C.Compute(data).ShouldBe(Definition(data));
    }

    private static uint Definition(byte[] data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78);
        }

        return ~crc;
    }
}
