using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>A weight edit whose parameter, values and tokens are checked for one batch.</summary>
public sealed class ResolvedWeightEdit
{
    private const long MaxRank = 1024;

    private readonly TokenRule _rule;

    private ResolvedWeightEdit(WeightEdit source, ParameterRole role, TokenRule rule, TokenSelection tokens, int index) =>
        (Source, Role, _rule, Tokens, Index) = (source, role, rule, tokens.Distinct(), index);

    /// <summary>What was asked for.</summary>
    public WeightEdit Source { get; }

    /// <summary>Its number in the request.</summary>
    public int Index { get; }

    /// <summary>To how many tokens of this pass it applies.</summary>
    public int TokenCount => Tokens.PresentCount;

    internal ParameterRole Role { get; }

    internal TokenSelection Tokens { get; }

    /// <summary>Resolves and checks an edit.</summary>
    /// <param name="source">The edit.</param>
    /// <param name="parameters">The model's parameters.</param>
    /// <param name="resolver">The batch.</param>
    /// <param name="field">Its path, for errors: "weight_edits[0]".</param>
    /// <param name="index">Its number in the request.</param>
    /// <exception cref="InvalidSelectionException">An index of a token is out of range.</exception>
    /// <exception cref="ArgumentException">There is no such parameter, it cannot be edited, or a value does not fit it.</exception>
    public static ResolvedWeightEdit Resolve(WeightEdit source, ParameterCatalog parameters, SelectionResolver resolver, string field, int index)
    {
        string path = $"{field}.parameter";
        if (parameters.Find(source.Parameter) is not { } role)
        {
            IReadOnlyList<string> near = parameters.Nearest(source.Parameter);
            throw new ArgumentException($"There is no parameter '{source.Parameter}'{(near.Count == 0 ? "" : $"; near it are {string.Join(", ", near)}")}.", path);
        }

        if (role.Kind == ParameterKind.Sink) throw new ArgumentException($"{role.Name} cannot be edited: attention reads it for all tokens at once.", path);
        if (source is { LowRank: null, Bias: null }) throw new ArgumentException("A low-rank delta or a bias is required.", field);
        if (!float.IsFinite(source.Coefficient)) throw new ArgumentException($"It must be finite, not {source.Coefficient}.", $"{field}.coefficient");
        if (source.LowRank is { } delta) RequireLowRank(delta, role, $"{field}.low_rank");
        if (source.Bias is { } bias)
        {
            if (role.Kind == ParameterKind.Table) throw new ArgumentException($"{role.Name} is a table, to which no bias is added: its rows are edited by low_rank.", $"{field}.bias");
            RequireValue(bias, [role.Outputs], role, $"{field}.bias");
        }

        ActivationSelector tokens = source.Tokens ?? new ActivationSelector("");
        RequireTokensOnly(tokens, $"{field}.tokens");
        TokenRule rule = resolver.ResolveTokens(tokens, $"{field}.tokens", role.Name);
        return new ResolvedWeightEdit(source, role, rule, rule.Select(resolver.Batch, resolver.At), index);
    }

    /// <summary>The same edit in a step of decoding.</summary>
    internal ResolvedWeightEdit AtStep(TokenBatch batch, StepPosition at) => new(Source, Role, _rule, _rule.Select(batch, at), Index);

    /// <summary>
    /// Requires that nothing looks at single heads of an edited matrix: what they read or give one by one is computed from the model's
    /// own matrix.
    /// </summary>
    /// <param name="hooks">Hooks that are captured, and those that are changed.</param>
    /// <param name="field">The edit's path.</param>
    internal void RequireWholeHeads(IEnumerable<(HookPoint Hook, bool IsChanged)> hooks, string field)
    {
        if (Role.Site == MapSite.Other) return;
        foreach ((HookPoint hook, bool isChanged) in hooks)
        {
            if (hook.Layer != Role.Layer || !hook.IsOnRequest || hook.IsAttention) continue;
            bool isResult = hook.Name.EndsWith(".attn.hook_result", StringComparison.Ordinal);
            if (isResult ? Role is { Site: MapSite.AttentionOutput, Kind: ParameterKind.Matrix } : Role.Site == MapSite.AttentionInput && isChanged)
                throw new ArgumentException($"{Role.Name} cannot be edited together with {hook.Name}, which takes its heads apart.", $"{field}.parameter");
        }
    }

    private static void RequireLowRank(LowRankDelta delta, ParameterRole role, string field)
    {
        if (role.Kind == ParameterKind.Vector) throw new ArgumentException($"{role.Name} is a vector: it is edited by bias, not by low_rank.", field);
        long rank = delta.B.Shape.Length == 2 ? delta.B.Shape[1] : 0;
        if (rank is < 1 or > MaxRank) throw new ArgumentException($"B of shape {TensorShape.Format(delta.B.Shape)} is not [{role.Outputs}, r] with r from 1 to {MaxRank}.", $"{field}.b");
        RequireValue(delta.B, [role.Outputs, rank], role, $"{field}.b");
        RequireValue(delta.A, [rank, role.Inputs], role, $"{field}.a");
    }

    private static void RequireValue(HostTensor value, long[] shape, ParameterRole role, string field)
    {
        if (value.DataType != TensorDataType.Float32) throw new ArgumentException($"A value must be FP32, not {value.DataType}.", field);
        if (!value.Shape.AsSpan().SequenceEqual(shape))
            throw new ArgumentException($"A value of shape {TensorShape.Format(value.Shape)} does not fit {role.Name}: it must be {TensorShape.Format(shape)}.", field);
        for (int i = 0; i < value.Floats.Length; i++)
        {
            if (!float.IsFinite(value.Floats[i])) throw new ArgumentException($"Element {i} is {value.Floats[i]}: values must be finite.", field);
        }
    }

    private static void RequireTokensOnly(ActivationSelector tokens, string field)
    {
        string? extra = tokens.Hook.Length > 0 ? "hook" : tokens.Hooks.Count > 0 ? "hooks" : tokens.Layers is not null ? "layers"
            : tokens.Heads.Count > 0 ? "heads" : tokens.Channels.Count > 0 ? "channels" : null;
        if (extra is not null) throw new InvalidSelectionException($"{field}.{extra}", "A weight edit selects tokens only.");
    }
}
