using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Residents;

/// <summary>Tells watchers what becomes of models, each change once and in order. One who does not read falls out.</summary>
internal sealed class StatusFeed
{
    private const int Backlog = 1024;

    private readonly Lock _gate = new();
    private readonly List<Channel<ModelStatus>> _watchers = [];

    /// <summary>Tells all watchers.</summary>
    public void Publish(ModelStatus status)
    {
        lock (_gate)
        {
            foreach (Channel<ModelStatus> watcher in _watchers.Where(watcher => !watcher.Writer.TryWrite(status)).ToArray())
            {
                watcher.Writer.TryComplete(new ResourceExhaustedException("WATCH_BEHIND", $"The watch is {Backlog} changes behind: begin a new one.", TimeSpan.FromSeconds(1)));
                _watchers.Remove(watcher);
            }
        }
    }

    /// <summary>Begins a watch: it gives what is known now and, from this call on, every change.</summary>
    public IAsyncEnumerable<ModelStatus> Watch(IEnumerable<ModelStatus> known, CancellationToken ct)
    {
        Channel<ModelStatus> watcher = Channel.CreateBounded<ModelStatus>(Backlog);
        lock (_gate) _watchers.Add(watcher);
        return ReadAsync([.. known], watcher, ct);
    }

    private async IAsyncEnumerable<ModelStatus> ReadAsync(ModelStatus[] known, Channel<ModelStatus> watcher, [EnumeratorCancellation] CancellationToken ct)
    {
        try
        {
            foreach (ModelStatus status in known) yield return status;
            await foreach (ModelStatus status in watcher.Reader.ReadAllAsync(ct)) yield return status;
        }
        finally
        {
            lock (_gate) _watchers.Remove(watcher);
        }
    }
}
