using TorchSharp;

namespace Lab.Tensors;

/// <summary>What libtorch has once per process. Every part that uses libtorch configures it; parts in one process share it.</summary>
public static class TorchRuntime
{
    private static readonly Lock Gate = new();
    private static int _threads;

    /// <summary>Sets how many threads one tensor operation may use, in the whole process. Idempotent; the last call decides.</summary>
    /// <param name="threads">At least 0; 0 takes all cores.</param>
    public static void Configure(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        int wanted = threads == 0 ? Environment.ProcessorCount : threads;
        lock (Gate)
        {
            if (_threads == wanted) return;
            torch.set_num_threads(wanted);
            _threads = wanted;
        }
    }

    /// <summary>Sets the threads, and finds the device.</summary>
    /// <param name="device">"cpu", "cuda", "cuda:{index}", or "auto" for the first CUDA device where there is one, else the CPU.</param>
    /// <param name="threads">At least 0; 0 takes all cores.</param>
    /// <exception cref="InvalidOperationException">A CUDA device is asked for that is not there.</exception>
    public static torch.Device Configure(string device, int threads)
    {
        Configure(threads);
        int count = device == "cpu" ? 0 : torch.cuda.device_count();
        if (device == "cpu" || (device == "auto" && count == 0)) return torch.CPU;
        torch.Device wanted = torch.device(device is "auto" or "cuda" ? "cuda:0" : device);
        return wanted.index < count
            ? wanted
            : throw new InvalidOperationException($"The device '{device}' is not there: this process sees {count} CUDA devices.");
    }
}
