using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Tests.Kernels.Simd;

public sealed class HostThreadsTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(1000, 1)]
    [InlineData(1000, 7)]
    [InlineData(10, 100)]
    public void For_AnyGrain_DoesEachIterationOnce(int count, int grain)
    {
        int[] done = new int[count];
        for (int repetition = 0; repetition < 50; repetition++) HostThreads.For(new Touch(done), count, grain);
        done.ShouldAllBe(times => times == 50);
    }

    [Fact]
    public void For_ManyCallersAtOnce_EachGetsAllOfItsOwn() => Parallel.For(0, 8, _ => For_AnyGrain_DoesEachIterationOnce(500, 3));

    [Fact]
    public void For_InsideItself_Runs()
    {
        int[] done = new int[64];
        HostThreads.For(new Nest(done), 8, 1);
        done.ShouldAllBe(times => times == 1);
    }

    [Fact]
    public void For_JobThrows_ThrowsAndWorksAfterwards()
    {
        for (int repetition = 0; repetition < 20; repetition++)
        {
            Should.Throw<ArithmeticException>(() => HostThreads.For(new Fail(), 100, 1)).Message.ShouldBe("At 37.");
        }

        For_AnyGrain_DoesEachIterationOnce(100, 1);
    }

    [Fact]
    public void For_NumbersOfWorkers_AreBelowTheCountAndNeverShared()
    {
        int[] inUse = new int[HostThreads.Count];
        for (int repetition = 0; repetition < 200; repetition++) HostThreads.For(new Claim(inUse), 40, 1);
        inUse.ShouldAllBe(users => users == 0);
    }

    private readonly struct Touch(int[] done) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int i = from; i < to; i++) Interlocked.Increment(ref done[i]);
        }
    }

    private readonly struct Nest(int[] done) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int i = from; i < to; i++)
            {
                int[] inner = new int[8];
                HostThreads.For(new Touch(inner), 8, 1);
                inner.CopyTo(done, 8 * i);
            }
        }
    }

    private readonly struct Fail : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            if (from <= 37 && to > 37) throw new ArithmeticException("At 37.");
        }
    }

    private readonly struct Claim(int[] inUse) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            if (Interlocked.Increment(ref inUse[worker]) != 1) throw new InvalidOperationException($"Worker {worker} is twice.");
            Thread.SpinWait(100);
            Interlocked.Decrement(ref inUse[worker]);
        }
    }
}
