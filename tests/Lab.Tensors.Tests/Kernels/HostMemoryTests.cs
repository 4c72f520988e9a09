using Lab.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Tensors.Tests.Kernels;

public sealed class HostMemoryTests
{
    [Fact]
    public unsafe void Address_OfAView_IsThatOfItsFirstElement()
    {
        using var scope = NewDisposeScope();
        Tensor x = arange(20, ScalarType.Float32).requires_grad_();
        float* address = HostMemory.Address(x.narrow(0, 3, 7));
        (address - HostMemory.Address(x)).ShouldBe(3);
        (*address).ShouldBe(3);
    }

    /// <summary>Nothing is read or written: the memory is never backed by pages.</summary>
    [Fact]
    public unsafe void Address_OfAViewBeyondTwoGibibytes_IsThatOfItsFirstElement()
    {
        const long Length = int.MaxValue / sizeof(float) + 10L;
        using var scope = NewDisposeScope();
        Tensor x = empty(Length + 5);
        (HostMemory.Address(x.narrow(0, 5, Length)) - HostMemory.Address(x)).ShouldBe(5);
    }

    [Fact]
    public unsafe void Address_OfOtherTensors_Throws()
    {
        using var scope = NewDisposeScope();
        Should.Throw<ArgumentException>(() => (nint)HostMemory.Address(zeros(3, 4).t())).ParamName.ShouldBe("tensor");
        Should.Throw<ArgumentException>(() => (nint)HostMemory.Address(zeros(3, ScalarType.Float64)));
        Should.Throw<ArgumentException>(() => (nint)HostMemory.AddressOfWords(zeros(3, ScalarType.Int64), 4));
        Should.Throw<ArgumentException>(() => (nint)HostMemory.AddressOfWords(zeros(3), 3));
    }
}
