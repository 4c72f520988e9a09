using static TorchSharp.torch;

namespace Lab.Testing;

/// <summary>How many threads libtorch has in the thread that calls, and with it the kernels.</summary>
public static class Threads
{
    /// <summary>Runs something on the calling thread alone.</summary>
    /// <param name="run">Calls libtorch and kernels on this thread.</param>
    public static T WithOne<T>(Func<T> run)
    {
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            return run();
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    /// <summary>Runs something on the calling thread alone.</summary>
    /// <param name="run">Calls libtorch and kernels on this thread.</param>
    public static void WithOne(Action run) => WithOne(() =>
    {
        run();
        return true;
    });
}
