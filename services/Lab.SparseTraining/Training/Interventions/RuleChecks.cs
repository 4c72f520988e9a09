using Lab.Models;
using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.SparseTraining.Training.Interventions;

/// <summary>Checks a rule against a model before anything is trained.</summary>
internal static class RuleChecks
{
    /// <param name="rule">The rule.</param>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="vocabSize">Tokens of the vocabulary.</param>
    /// <param name="batch">Sequences of the number and length that batches will have.</param>
    /// <param name="field">The rule's path, for errors.</param>
    /// <exception cref="ArgumentException">It does not fit. ParamName is the field's path.</exception>
    public static void Require(InterventionRule rule, HookCatalog hooks, int vocabSize, TokenBatch batch, string field)
    {
        if (!(rule.Fraction >= 0 && rule.Fraction <= 1)) throw new ArgumentException($"must be from 0 to 1, not {rule.Fraction}", $"{field}.fraction");
        RequireToken(rule.FromTokenId, vocabSize, $"{field}.from_token_id");
        RequireToken(rule.UntilTokenId, vocabSize, $"{field}.until_token_id");
        RequireSelector(rule.Intervention.Selector, $"{field}.intervention.selector");
        if (rule.Intervention.Operation is InterventionOperation.Freeze)
            throw new ArgumentException("has no meaning in training: there is no run without interventions beside it", $"{field}.intervention.freeze");

        SelectionResolver resolver = new(hooks, batch);
        if (rule.Vectors.Count == 0) RequireOperation(rule.Intervention.Operation, rule, resolver, $"{field}.intervention");
        for (int i = 0; i < rule.Vectors.Count; i++)
        {
            try
            {
                RequireOperation(rule.OperationWith(i), rule, new SelectionResolver(hooks, batch), $"{field}.intervention");
            }
            catch (ArgumentException e) when (e.ParamName?.EndsWith(".value", StringComparison.Ordinal) == true)
            {
                throw new ArgumentException($"vector '{rule.Vectors[i].Name}': {Reason(e)}", $"{field}.vectors", e);
            }
        }
    }

    private static void RequireOperation(InterventionOperation operation, InterventionRule rule, SelectionResolver resolver, string field)
    {
        ResolvedIntervention resolved = ResolvedIntervention.Resolve(rule.Intervention with { Operation = operation }, resolver, field, 0);
        (HostTensor? value, string name) = operation switch
        {
            InterventionOperation.Set set => (set.Value, "set"),
            InterventionOperation.Add add => (add.Value, "add"),
            _ => (null, ""),
        };
        if (value is null || value.ElementCount == 1) return;
        foreach (ResolvedSelection selection in resolved.Selections)
        {
            // Sequences are changed at positions of their own: a value for each of them has no place.
            bool isByPosition = selection.Hook.Dimensions.Contains(HookDimension.KeyPos) || value.Shape.Length > selection.Shape.Count - 2;
            if (isByPosition) throw new ArgumentException($"A value of shape {TensorShape.Format(value.Shape)} is not the same at every position of {selection.Hook.Name}.", $"{field}.{name}.value");
        }
    }

    private static void RequireSelector(ActivationSelector selector, string field)
    {
        Refuse(selector.Rows.Count > 0, "rows", "`fraction` says which share of the sequences is changed");
        Refuse(selector.Texts.Count > 0, "texts", "sequences differ in their text; `token_ids` selects tokens");
        Refuse(selector.FromText is not null, "from.text", "sequences differ in their text; `from_token_id` begins at a token");
        Refuse(selector.Phase != GenerationPhase.Both, "phase", "nothing is generated in training");
        Refuse(selector.Steps is not null, "steps", "nothing is generated in training");

        void Refuse(bool isSet, string name, string reason)
        {
            if (isSet) throw new ArgumentException($"must be unset: {reason}", $"{field}.{name}");
        }
    }

    private static void RequireToken(int? token, int vocabSize, string field)
    {
        if (token is { } id && (uint)id >= (uint)vocabSize) throw new ArgumentException($"Token {id} is out of range: the vocabulary has {vocabSize} tokens, from 0.", field);
    }

    private static string Reason(ArgumentException e) => e.Message.Replace($" (Parameter '{e.ParamName}')", "", StringComparison.Ordinal);
}
