using System.Runtime.InteropServices;

namespace Lab.Tensors.Tests;

public sealed class OpenMpWaitingTests
{
    [Fact]
    public void LimitSpinning_OnLinux_IsWhatNativeCodeSees()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libgomp is what libtorch uses on Linux.");
        OpenMpWaiting.LimitSpinning();

        string? chosen = Environment.GetEnvironmentVariable("GOMP_SPINCOUNT");
        string? expected = chosen is null && Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null ? "2000" : chosen;
        Marshal.PtrToStringUTF8(GetNativeEnvironmentVariable("GOMP_SPINCOUNT")).ShouldBe(expected);
    }

    [DllImport("libc", EntryPoint = "getenv")]
    private static extern nint GetNativeEnvironmentVariable([MarshalAs(UnmanagedType.LPUTF8Str)] string name);
}
