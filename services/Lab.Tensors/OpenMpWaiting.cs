using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lab.Tensors;

/// <summary>
/// Makes libtorch's idle threads sleep soon. OpenMP's wait for work by spinning for milliseconds, which is free on an idle machine and ruinous
/// where several processes of the lab share the cores: five times the time and processor time for small tensors was measured on two cores.
/// </summary>
internal static partial class OpenMpWaiting
{
    private const string Variable = "GOMP_SPINCOUNT";

    /// <summary>About 30 microseconds: longer than the gap between two operations of a step, far shorter than a time slice.</summary>
    private const string SpinCount = "2000";

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255:The 'ModuleInitializer' attribute should not be used in libraries", Justification = "libgomp reads the variable once, when libtorch is loaded.")]
    internal static void LimitSpinning()
    {
        bool isChosen = new[] { Variable, "OMP_WAIT_POLICY" }.Any(name => Environment.GetEnvironmentVariable(name) is not null);

        // .NET keeps its own copy of the environment on Unix, which native code does not see.
        if (OperatingSystem.IsLinux() && !isChosen) _ = SetEnvironmentVariable(Variable, SpinCount, 0);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironmentVariable(string name, string value, int overwrite);
}
