using Lab.Models;
using Lab.Models.Batching;
using static TorchSharp.torch;

namespace Lab.ModelHost.Scheduling;

/// <summary>What happens in one turn on the model's thread: a forward pass that several requests share, or work that runs alone.</summary>
internal static class Turn
{
    /// <summary>Runs a turn. What goes wrong ends the requests that it concerns.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">Passes, or one work that runs alone.</param>
    /// <param name="pass">The turn as they see it.</param>
    /// <returns>For each request what it ends with; null if nothing went wrong.</returns>
    public static Exception?[] Run(Transformer model, IReadOnlyList<ModelWork> batch, SharedPass pass) =>
        batch[0] is SoloWork solo ? [Alone(solo, pass)] : Together(model, [.. batch.Cast<PassWork>()], pass);

    private static Exception? Alone(SoloWork work, SharedPass pass)
    {
        using var scope = NewDisposeScope();
        return Try(() => work.Run(pass));
    }

    private static Exception?[] Together(Transformer model, PassWork[] batch, SharedPass pass)
    {
        Exception?[] failures = new Exception?[batch.Length];
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        List<(int Index, PassMember Member)> members = [];
        for (int i = 0; i < batch.Length; i++) failures[i] = Try(() => members.Add((i, batch[i].Begin(pass))));
        if (members.Count == 0) return failures;
        IReadOnlyList<Tensor?> logits = [];
        Exception? broken = Try(() => logits = CoBatch.Forward(model, [.. members.Select(one => one.Member)]));
        for (int i = 0; i < members.Count; i++)
        {
            (int index, PassMember member) = members[i];
            failures[index] = member.Failure ?? broken ?? Try(() => batch[index].Accept(logits[i]));
        }

        return failures;
    }

    private static Exception? Try(Action work)
    {
        try
        {
            work();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }
}
