using TorchSharp;

namespace Lab.Tensors.Tests;

public sealed class LibTorchLoadTests
{
    [Fact]
    public void Ones_OnThisSystem_LoadsTheNativeLibrary()
    {
        using torch.Tensor ones = torch.ones(2, 3);
        using torch.Tensor sum = ones.sum();

        sum.item<float>().ShouldBe(6);
    }
}
