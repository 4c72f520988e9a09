using System.Diagnostics.CodeAnalysis;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.Tensors;

namespace Lab.ModelHost.Residents;

/// <summary>
/// A model in memory, with the one thread that may touch it. It goes when it is retired and the last lease on it has ended.
/// </summary>
internal sealed class ResidentModel(string name, string digest, Transformer gpt, LabTokenizer tokenizer, TensorWorker worker, ModelFacts facts)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _unused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _leases;
    private bool _isRetired;

    public string Name => name;

    public string Digest => digest;

    public LabTokenizer Tokenizer => tokenizer;

    public TensorWorker Worker => worker;

    public ModelFacts Facts => facts;

    public TransformerConfig Config => facts.Config;

    public HookCatalog Hooks => gpt.Hooks;

    /// <summary>The model itself: to be used on the worker's thread only.</summary>
    public Transformer Transformer => gpt;

    /// <summary>Keeps the model in memory until the lease ends. False if it is on its way out.</summary>
    public bool TryLease([NotNullWhen(true)] out ModelLease? lease)
    {
        lock (_gate)
        {
            lease = _isRetired ? null : new ModelLease(this);
            if (lease is not null) _leases++;
            return lease is not null;
        }
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
        gpt.Dispose();
    }

    internal void EndLease()
    {
        lock (_gate)
        {
            if (--_leases == 0 && _isRetired) _unused.TrySetResult();
        }
    }
}
