using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>An intervention whose hooks, indices and values are checked for one batch.</summary>
/// <param name="Source">What was asked for.</param>
/// <param name="Selections">Where it applies: at least one hook, in the order of the forward pass. In a pass of a generation each may have no token.</param>
/// <param name="Index">Its number in the request.</param>
public sealed record ResolvedIntervention(Intervention Source, IReadOnlyList<ResolvedSelection> Selections, int Index)
{
    /// <summary>The orthonormal directions that the operation projects on, [k, channels], FP64; null if it has none.</summary>
    internal HostTensor? Basis { get; private init; }

    /// <summary>Whether it reads the clean run in this pass.</summary>
    internal bool NeedsTwin => Source.Operation is InterventionOperation.Freeze && Selections.Any(selection => selection.TokenCount > 0);

    /// <summary>Resolves and checks an intervention.</summary>
    /// <param name="source">The intervention.</param>
    /// <param name="resolver">The batch and hooks.</param>
    /// <param name="field">Its path, for errors: "interventions[0]".</param>
    /// <param name="index">Its number in the request.</param>
    /// <exception cref="InvalidSelectionException">The selector matches nothing or an index is out of range.</exception>
    /// <exception cref="ArgumentException">The selector names the input of one of several matrices that read the same, a value does not fit what is selected, or the operation makes no sense there.</exception>
    public static ResolvedIntervention Resolve(Intervention source, SelectionResolver resolver, string field, int index)
    {
        HookMatcher.RequireChangeable(resolver.Hooks, source.Selector, $"{field}.selector");
        IReadOnlyList<ResolvedSelection> selections = resolver.Resolve(source.Selector, $"{field}.selector", index);

        // Values may be large and hooks many: what holds at one hook holds at the others of its kind.
        HashSet<bool> checkedKinds = [];
        foreach (ResolvedSelection selection in selections)
            new OperationChecks(selection, resolver, field, areValuesFinite: !checkedKinds.Add(selection.IsAttention)).Require(source.Operation);
        HostTensor? basis = source.Operation switch
        {
            InterventionOperation.ProjectOut project => OrthonormalBasis.Of(project.Directions, $"{field}.project_out.directions"),
            InterventionOperation.ProjectOnto project => OrthonormalBasis.Of(project.Directions, $"{field}.project_onto.directions"),
            InterventionOperation.SwapSubspace swap => OrthonormalBasis.Of(swap.Directions, $"{field}.swap_subspace.directions"),
            _ => null,
        };
        return new ResolvedIntervention(source, [.. selections.Select(selection => selection.Distinct())], index) { Basis = basis };
    }
}
