using Google.Protobuf;
using Lab.Protos.Tensor.V1;

namespace Lab.Tensors.Tests;

public sealed class TensorMessagesTests
{
    [Fact]
    public void ToMessage_ThenToHost_RestoresEveryType()
    {
        foreach (TensorDataType type in Enum.GetValues<TensorDataType>())
        {
            HostTensor tensor = new("x", type, [1, 2], Enumerable.Range(0, 2 * type.Size()).Select(i => (byte)i).ToArray());
            Tensor.Parser.ParseFrom(tensor.ToMessage().ToByteArray()).ToHost("value").ShouldBe(tensor);
        }
    }

    [Theory]
    [InlineData(DataType.Fp32, new long[] { 2 }, 7, "interventions[0].value.data", "need 8 bytes, but there are 7")]
    [InlineData(DataType.Fp32, new long[] { }, 0, "interventions[0].value.data", "need 4 bytes, but there are 0")]
    [InlineData(DataType.Fp32, new long[] { 1 << 20, 2 }, (4 << 20) + 1, "interventions[0].value.data", "at most 4194304")]
    [InlineData(DataType.Fp32, new long[] { -1 }, 0, "interventions[0].value.shape", "negative dimension")]
    [InlineData(DataType.Fp32, new long[] { 1L << 40, 1L << 40 }, 0, "interventions[0].value.shape", "64 bits")]
    [InlineData(DataType.Unspecified, new long[] { 1 }, 4, "interventions[0].value.data_type", "not known")]
    public void ToHost_BadMessage_NamesTheField(DataType type, long[] shape, int byteCount, string field, string reason)
    {
        Tensor message = new() { DataType = type, Shape = { shape }, Data = UnsafeByteOperations.UnsafeWrap(new byte[byteCount]) };

        ArgumentException error = Should.Throw<ArgumentException>(() => message.ToHost("interventions[0].value"));

        error.ParamName.ShouldBe(field);
        error.Message.ShouldContain(reason);
    }

    [Fact]
    public void ToMessage_OverFourMebibytes_NamesTheTensor() =>
        Should.Throw<ArgumentException>(() => new HostTensor("big", TensorDataType.Int32, [(1 << 20) + 1], new byte[(4 << 20) + 4]).ToMessage()).Message.ShouldContain("'big'");
}
