using System.Runtime.InteropServices;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests;

public sealed class TensorFileTests : IDisposable
{
    private static readonly StoredDataType F32 = StoredDataType.Of(TensorDataType.Float32);

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Load_OwnType_SharesThePagesUntilTheLastTensorIsGone()
    {
        TensorFile file = Write(Floats(5000));
        using Tensor whole = file.Load(new StoredTensor("whole", F32, 0, [50, 100]));
        using Tensor part = file.Load(new StoredTensor("part", F32, 40, [3]));
        Mappings().ShouldBe(1);

        file.Dispose();
        whole.Dispose();

        Mappings().ShouldBe(1);
        part.data<float>().ToArray().ShouldBe([10, 11, 12]);
        part.Dispose();
        Mappings().ShouldBe(0);
    }

    [Fact]
    public void Load_ThenWriteToTheTensor_LeavesFileAndOtherLoadsAlone()
    {
        byte[] bytes = Floats(100);
        using TensorFile file = Write(bytes);
        using Tensor tensor = file.Load(new StoredTensor("x", F32, 0, [10, 10]));

        _ = tensor.fill_(-1);

        File.ReadAllBytes(_folder["x"]).ShouldBe(bytes);
        using TensorFile again = TensorFile.Open(_folder["x"]);
        using Tensor fresh = again.Load(new StoredTensor("x", F32, 0, [10, 10]));
        fresh[9, 9].item<float>().ShouldBe(99);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Load_ThenTheFileIsDeletedAndReplaced_KeepsTheTensors(bool beforeTheFirstLoad)
    {
        using TensorFile file = Write(Floats(5000));
        using Tensor early = beforeTheFirstLoad ? zeros(1) : file.Load(new StoredTensor("x", F32, 0, [5000]));

        File.Delete(_folder["x"]);
        File.WriteAllBytes(_folder["x"], new byte[40]);

        using Tensor late = file.Load(new StoredTensor("x", F32, 0, [5000]));
        late[4999].item<float>().ShouldBe(4999);
        if (!beforeTheFirstLoad) early[4999].item<float>().ShouldBe(4999);
    }

    [Fact]
    public void Load_WithoutSharing_CopiesSoThatWritesInPlaceChangeNothing()
    {
        using TensorFile file = Write(Floats(100), share: false);
        using Tensor tensor = file.Load(new StoredTensor("x", F32, 0, [100]));

        Mappings().ShouldBe(0);
        tensor.data<float>().ToArray().ShouldBe(Enumerable.Range(0, 100).Select(i => (float)i));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Load_AtAnUnalignedOffset_CopiesTheSameElements(int shift)
    {
        using TensorFile file = Write([.. new byte[shift], .. Floats(100)]);
        using Tensor tensor = file.Load(new StoredTensor("x", F32, shift, [100]));

        Mappings().ShouldBe(0);
        tensor.data<float>().ToArray().ShouldBe(Enumerable.Range(0, 100).Select(i => (float)i));
    }

    [Fact]
    public void Load_AsAnotherType_ConvertsInSeveralPiecesAndMapsNothing()
    {
        const int Count = 2_500_000;
        Half[] values = [.. Enumerable.Range(0, Count).Select(i => (Half)(i % 2048))];
        using TensorFile file = Write(MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

        using Tensor tensor = file.Load(new StoredTensor("x", StoredDataType.Of(TensorDataType.Float16), 0, [Count]), ScalarType.Float32);

        Mappings().ShouldBe(0);
        tensor.data<float>().ToArray().AsSpan().SequenceEqual([.. Enumerable.Range(0, Count).Select(i => (float)(i % 2048))]).ShouldBeTrue();
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.Float64)]
    public void Load_AsAnyFloatingPointType_EqualsTheConversion(ScalarType type)
    {
        using TensorFile file = Write(MemoryMarshal.AsBytes<float>([0.1f, -3e4f, 1e-6f, 65000]).ToArray());
        using Tensor tensor = file.Load(new StoredTensor("x", F32, 0, [2, 2]), type);

        tensor.dtype.ShouldBe(type);
        tensor.HasSameElements(torch.tensor([0.1f, -3e4f, 1e-6f, 65000]).reshape(2, 2).to(type)).ShouldBeTrue();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Load_WithStrides_IsTheStridedView(ScalarType type)
    {
        using TensorFile file = Write(Floats(20));
        using Tensor tensor = file.Load(new StoredTensor("x", F32, 8, [3, 2], [2, 7]), type);

        tensor.stride().ShouldBe([2, 7]);
        tensor.to(ScalarType.Float32).contiguous().data<float>().ToArray().ShouldBe([2, 9, 4, 11, 6, 13]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Load_OfNoElementsOrOfAScalar_HasTheShape(ScalarType type)
    {
        using TensorFile file = Write(Floats(2));
        using Tensor none = file.Load(new StoredTensor("none", F32, 8, [4, 0, 2]), type);
        using Tensor scalar = file.Load(new StoredTensor("scalar", F32, 4, []), type);

        none.shape.ShouldBe([4, 0, 2]);
        scalar.shape.ShouldBeEmpty();
        scalar.to(ScalarType.Float32).item<float>().ShouldBe(1);
    }

    [Theory]
    [InlineData("I64", ScalarType.Float32, "'x' is of type I64, which cannot be loaded as Float32")]
    [InlineData("F32", ScalarType.Int64, "'x' is of type F32, which cannot be loaded as Int64")]
    [InlineData("BOOL", null, "'x' is of type BOOL, which cannot be loaded.")]
    [InlineData("F8_E4M3", ScalarType.Float32, "'x' is of type F8_E4M3, which cannot be loaded.")]
    public void Load_AsATypeThatItCannotBe_NamesFileTensorAndTypes(string code, ScalarType? type, string message)
    {
        using TensorFile file = Write(new byte[64]);

        Should.Throw<InvalidDataException>(() => file.Load(new StoredTensor("x", StoredDataType.Find(code)!, 0, [8]), type))
            .Message.ShouldBe($"{_folder["x"]}: tensor {message}{(message.EndsWith('.') ? "" : ".")}");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Load_OfAFileThatWasCutShort_NamesFileTensorAndBytes(bool share)
    {
        using TensorFile file = Write(Floats(5000), share);
        using (FileStream writer = new(_folder["x"], new FileStreamOptions { Access = FileAccess.Write, Share = FileShare.ReadWrite, Mode = FileMode.Open }))
            writer.SetLength(100);

        Should.Throw<InvalidDataException>(() => file.Load(new StoredTensor("x", F32, 0, [5000])))
            .Message.ShouldBe($"{_folder["x"]}: tensor 'x' ends at byte 20000, but the file at byte 100.");
    }

    [Fact]
    public void Load_TwoTensors_HaveVersionCountersOfTheirOwn()
    {
        using TensorFile file = Write(Floats(8));
        using Tensor weight = file.Load(new StoredTensor("weight", F32, 0, [4]));
        using Tensor other = file.Load(new StoredTensor("other", F32, 16, [4]));
        using Tensor input = ones(4, requires_grad: true);

        Tensor loss = (input * weight).sum();
        _ = other.add_(1);
        loss.backward();

        input.grad!.data<float>().ToArray().ShouldBe([0, 1, 2, 3]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Load_InADisposeScope_LeavesOneTensorThatOutlivesIt(ScalarType type)
    {
        TensorFile file = Write(Floats(8));
        DisposeScopeManager.Statistics.Reset();
        Tensor tensor;
        using (NewDisposeScope()) tensor = file.Load(new StoredTensor("x", F32, 0, [8]), type);
        file.Dispose();

        tensor.IsInvalid.ShouldBeFalse();
        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(1);
        tensor.Dispose();
    }

    [Fact]
    public void Load_AfterDispose_Throws()
    {
        TensorFile file = Write(Floats(8));
        file.Dispose();

        Should.Throw<ObjectDisposedException>(() => file.Load(new StoredTensor("x", F32, 0, [8])));
    }

    private static byte[] Floats(int count) => MemoryMarshal.AsBytes<float>([.. Enumerable.Range(0, count).Select(i => (float)i)]).ToArray();

    private TensorFile Write(byte[] bytes, bool share = true)
    {
        File.WriteAllBytes(_folder["x"], bytes);
        return TensorFile.Open(_folder["x"], share);
    }

    private int Mappings() => File.ReadAllLines("/proc/self/maps").Count(line => line.Contains(_folder.Path, StringComparison.Ordinal));
}
