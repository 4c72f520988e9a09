using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels.Simd;

/// <summary>
/// Splits a loop over as many cores as torch uses, with threads that stay and nothing allocated for a loop. The caller works
/// too and takes back what no helper has begun, so a helper that wakes late costs nothing. One loop runs at a time in the
/// process; a loop that finds the helpers taken runs on its caller alone.
/// </summary>
internal static unsafe class HostThreads
{
    /// <summary>In <see cref="_state"/>: helpers that are running, above the helpers that are invited and have not come.</summary>
    private const int Running = 1 << 16;

    private static readonly SemaphoreSlim Wake = new(0);
    private static int _helpers;
    private static int _isTaken;
    private static int _state;
    private static int _next;
    private static int _count;
    private static int _grain;
    private static void* _job;
    private static delegate*<void*, int, int, int, void> _body;
    private static Exception? _failure;

    /// <summary>Threads that a loop may use, the caller's included.</summary>
    public static int Count => Math.Max(1, Math.Min(get_num_threads(), Environment.ProcessorCount));

    /// <summary>Runs the job over [0, count) in parts of <paramref name="grain"/> iterations; which thread gets which part is not defined.</summary>
    /// <param name="job">The loop's body. What it throws is thrown again here, after the other parts were done.</param>
    /// <param name="count">Iterations.</param>
    /// <param name="grain">Iterations of a part, at least 1. A loop on one thread has one part.</param>
    /// <param name="threads">The most threads, the caller's included, of a job that has memory for so many workers only.</param>
    public static void For<TJob>(TJob job, int count, int grain, int threads = int.MaxValue)
        where TJob : struct, IRangeJob
    {
        int helpers = Math.Min(Math.Min(Count, threads), (count - 1) / grain + 1) - 1;
        if (helpers <= 0 || Interlocked.CompareExchange(ref _isTaken, 1, 0) != 0)
        {
            if (count > 0) job.Run(0, count, 0);
            return;
        }

        try
        {
            while (_helpers < helpers) StartHelper();
            // The copy on this stack outlives every helper's use of it: Join returns when the last of them has left.
            _job = Unsafe.AsPointer(ref job);
            _body = &Invoke<TJob>;
            (_count, _grain, _next) = (count, grain, 0);
            Volatile.Write(ref _state, helpers);
            Wake.Release(helpers);
            RunParts(0);
            Join();
        }
        finally
        {
            _job = null;
            Exception? failure = _failure;
            _failure = null;
            Volatile.Write(ref _isTaken, 0);
            if (failure is not null) ExceptionDispatchInfo.Throw(failure);
        }
    }

    private static void Invoke<TJob>(void* job, int from, int to, int worker)
        where TJob : struct, IRangeJob => Unsafe.AsRef<TJob>(job).Run(from, to, worker);

    private static void RunParts(int worker)
    {
        try
        {
            while (true)
            {
                long from = (Interlocked.Increment(ref _next) - 1L) * _grain;
                if (from >= _count) return;
                _body(_job, (int)from, (int)Math.Min(_count, from + _grain), worker);
            }
        }
        catch (Exception failure)
        {
            // Thrown again where the loop was started.
            Volatile.Write(ref _failure, failure);
        }
    }

    private static void Join()
    {
        // Invitations that nobody has taken are void.
        int state = Volatile.Read(ref _state);
        while (true)
        {
            int seen = Interlocked.CompareExchange(ref _state, state & ~(Running - 1), state);
            if (seen == state) break;
            state = seen;
        }

        SpinWait spin = default;
        while (Volatile.Read(ref _state) != 0) spin.SpinOnce(sleep1Threshold: -1);
    }

    private static void StartHelper()
    {
        _helpers++;
        Thread thread = new(Help) { IsBackground = true, Name = $"kernels {_helpers}" };
        thread.Start();
    }

    private static void Help()
    {
        while (true)
        {
            Wake.Wait();
            int worker = Accept();
            if (worker == 0) continue;
            RunParts(worker);
            _ = Interlocked.Add(ref _state, -Running);
        }
    }

    /// <summary>Takes an invitation; its number is the worker's in this loop. 0 where none is left.</summary>
    private static int Accept()
    {
        int state = Volatile.Read(ref _state);
        while ((state & (Running - 1)) != 0)
        {
            int seen = Interlocked.CompareExchange(ref _state, state - 1 + Running, state);
            if (seen == state) return state & (Running - 1);
            state = seen;
        }

        return 0;
    }
}
