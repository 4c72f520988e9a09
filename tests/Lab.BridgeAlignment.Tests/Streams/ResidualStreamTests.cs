using Lab.BridgeAlignment.Streams;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Tests.Streams;

public sealed class ResidualStreamTests
{
    [Fact]
    public async Task ReadAll_SlowReader_FetchesOneBatchAhead()
    {
        CountingSource source = new();
        ResidualStream stream = new(source, "dense", "sparse", ["h"]);
        List<int> askedFor = [];

        await foreach (ResidualBatch batch in stream.ReadAllAsync(2, 5, Batch, TestContext.Current.CancellationToken))
            askedFor.Add(source.Asked.Count(model => model == "dense"));

        askedFor.ShouldBe([2, 3, 3]);
        source.Asked.Count(model => model == "sparse").ShouldBe(3);
    }

    [Fact]
    public async Task ReadAll_ReaderLeaves_CancelsTheFetchAhead()
    {
        CountingSource source = new() { HangFrom = 3 };
        ResidualStream stream = new(source, "dense", "sparse", ["h"]);

        await foreach (ResidualBatch batch in stream.ReadAllAsync(0, 5, Batch, TestContext.Current.CancellationToken)) break;

        source.Cancelled.ShouldBe(2);
    }

    private static TokenBatch Batch(long step) => new([step], 1, 1);

    private sealed class CountingSource : IActivationSource
    {
        private int _cancelled;

        public int HangFrom { get; init; } = int.MaxValue;

        public List<string> Asked { get; } = [];

        public int Cancelled => _cancelled;

        public Task PrepareAsync(string model, CancellationToken ct) => Task.CompletedTask;

        public async Task<IReadOnlyList<HostTensor>> ReadActivationsAsync(string model, TokenBatch batch, IReadOnlyList<string> hooks, CancellationToken ct)
        {
            Asked.Add(model);
            if (Asked.Count >= HangFrom)
            {
                TaskCompletionSource never = new();
                await using CancellationTokenRegistration registration = ct.Register(() =>
                {
                    _ = Interlocked.Increment(ref _cancelled);
                    never.SetCanceled(ct);
                });
                await never.Task;
            }

            return [];
        }

        public Task<HostTensor> ReadLogitsAsync(string model, TokenBatch batch, HostTensor? replacement, CancellationToken ct) => throw new NotSupportedException();
    }
}
