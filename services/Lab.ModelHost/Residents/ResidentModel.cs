using System.Diagnostics.CodeAnalysis;
using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.Tensors;

namespace Lab.ModelHost.Residents;

/// <summary>
/// A model in memory, with the one thread that may touch it. It goes when it is retired and the last lease on it has ended.
/// </summary>
internal sealed class ResidentModel(
    ModelSource source, string digest, Transformer transformer, ITokenizer? tokenizer, TensorWorker worker, ModelFacts facts, ModelMemory.Share memory, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _unused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _leases;
    private bool _isRetired;

    public string Name => source.Name;

    public ModelSource Source => source;

    public string Digest => digest;

    /// <summary>The tokenizer; null if the model came without.</summary>
    public ITokenizer? Tokenizer => tokenizer;

    public TensorWorker Worker => worker;

    /// <summary>Puts requests into passes.</summary>
    public required ModelScheduler Scheduler { get; init; }

    public ModelFacts Facts => facts;

    public TransformerConfig Config => facts.Config;

    public HookCatalog Hooks => transformer.Hooks;

    public ParameterCatalog Parameters => transformer.Parameters;

    /// <summary>The model itself: to be used on the worker's thread only.</summary>
    public Transformer Transformer => transformer;

    /// <summary>Whether it stays when memory is needed. Changed under the registry's gate only.</summary>
    public bool IsPinned { get; set; }

    /// <summary>When a request used it last; null if none did.</summary>
    public DateTimeOffset? LastUsed { get; private set; }

    /// <summary>For telling which of two models was used last: greater is later.</summary>
    public long UseOrder { get; private set; }

    /// <summary>Requests that use it.</summary>
    public int LeaseCount
    {
        get
        {
            lock (_gate) return _leases;
        }
    }

    /// <summary>Keeps the model in memory until the lease ends. False if it is on its way out.</summary>
    public bool TryLease([NotNullWhen(true)] out ModelLease? lease)
    {
        lock (_gate)
        {
            lease = _isRetired ? null : new ModelLease(this);
            if (lease is null) return false;
            _leases++;
            (LastUsed, UseOrder) = (time.GetUtcNow(), time.GetTimestamp());
            return true;
        }
    }

    /// <summary>Gives out no more leases if none is out. To be followed by <see cref="RetireAsync"/> or <see cref="Reopen"/>.</summary>
    /// <returns>Whether none is.</returns>
    public bool TryClose()
    {
        lock (_gate) return _leases == 0 && (_isRetired = true);
    }

    /// <summary>Takes <see cref="TryClose"/> back.</summary>
    public void Reopen()
    {
        lock (_gate) _isRetired = false;
    }

    /// <summary>Gives out no more leases, waits for those that are out, and frees the model.</summary>
    public async Task RetireAsync()
    {
        lock (_gate)
        {
            _isRetired = true;
            if (_leases == 0) _unused.TrySetResult();
        }

        await _unused.Task;
        await worker.DisposeAsync();
        transformer.Dispose();
        memory.Dispose();
    }

    internal void EndLease()
    {
        lock (_gate)
        {
            if (--_leases == 0 && _isRetired) _unused.TrySetResult();
        }
    }
}
