using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>What one operation makes of the selected elements at one hook.</summary>
internal sealed class OperationMath(ResolvedIntervention source, ResolvedSelection selection, IReadOnlyList<int> lengths, OperandSource? operands)
{
    /// <summary>The activation as it was before any intervention at this hook.</summary>
    public required Tensor Original { get; init; }

    /// <summary>The activation as earlier interventions left it.</summary>
    public required Tensor Current { get; init; }

    /// <summary>The activation without any intervention; null where the pass has no twin.</summary>
    public Tensor? Clean { get; init; }

    /// <summary>What the block read; null if that is not asked for.</summary>
    public Tensor? BlockInput { get; init; }

    /// <summary>What takes the place of the selected elements.</summary>
    /// <param name="selected">[tokens, (heads,) channels].</param>
    /// <param name="tokens">Their tokens in the flattened batch; null for all.</param>
    /// <returns>What broadcasts to the same shape.</returns>
    public Tensor Change(Tensor selected, long[]? tokens) => source.Source.Operation switch
    {
        InterventionOperation.Set set => selection.Broadcast(Operand("set.value", set.Value)),
        InterventionOperation.Add add => selected + (Direction(add, tokens) * add.Coefficient),
        InterventionOperation.Scale scale => operands?.Invoke(source.Index, "scale.factor") is { } factor ? selected * factor.to(selected.dtype) : selected * scale.Factor,
        InterventionOperation.Zero => zeros_like(selected),
        InterventionOperation.Mean { Value: { } value } => Means(Operand("mean.value", value), selected),
        InterventionOperation.Mean => selection.At(Original, new TokenSelection(lengths, null).PresentTokens().Tokens).mean([0], keepdim: true),
        InterventionOperation.Patch patch => selection.At(Original, SourceTokens(patch.SourceRow, tokens)),
        InterventionOperation.Clamp clamp => selected.clamp(ToScalar(clamp.Min), ToScalar(clamp.Max)),
        InterventionOperation.Noise noise => selected + Noise(noise, selected, tokens),
        InterventionOperation.ProjectOut => selected - Components(selected),
        InterventionOperation.ProjectOnto => Components(selected),
        InterventionOperation.SwapSubspace swap => selected + Components(selection.At(Original, SourceTokens(swap.SourceRow, tokens)) - selected),
        InterventionOperation.Freeze => selection.At(Clean!, tokens ?? AllTokens()),
        InterventionOperation.Skip => BlockInput is null ? zeros_like(selected) : selection.At(BlockInput, tokens ?? AllTokens()),
        _ => throw new InvalidOperationException($"{source.Source.Operation} is not an operation."),
    };

    private static TorchSharp.Scalar? ToScalar(float? bound) => bound is { } value ? value : null;

    private static Tensor Wide(Tensor x) => x.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? x.to(ScalarType.Float32) : x;

    /// <summary>Means, [channels] or [heads x channels], in the layout of what is selected.</summary>
    private static Tensor Means(Tensor means, Tensor selected) =>
        means.numel() == selected.shape[^1] ? means.view(-1) : means.view(selected.shape[1], selected.shape[2]);

    private Tensor Operand(string name, HostTensor value) =>
        (operands?.Invoke(source.Index, name) ?? value.ToTorch(Original.device)).to(Original.dtype);

    private Tensor Direction(InterventionOperation.Add add, long[]? tokens)
    {
        Tensor value = selection.Broadcast(Operand("add.value", add.Value));
        if (add.Unit == StrengthUnit.Absolute) return value;
        Tensor wide = Wide(value);
        // Values by position may be 0 where no token is.
        Tensor unit = wide / linalg.vector_norm(wide, 2, [-1], keepdim: true).clamp_min(1e-30);
        return (unit * selection.Norms(Wide(Current), tokens)).to(Original.dtype);
    }

    private Tensor Noise(InterventionOperation.Noise noise, Tensor selected, long[]? tokens)
    {
        long[] all = tokens ?? AllTokens(), channels = selection.ChannelNumbers();
        double[] values = new double[all.Length * channels.Length];
        int length = lengths.Max();
        for (int i = 0; i < all.Length; i++)
        {
            (long row, long index) = Math.DivRem(all[i], length);
            GaussianNoise.Fill(values.AsSpan(i * channels.Length, channels.Length), noise.Seed, selection.Hook.Name, selection.Tokens.FirstRow + row, selection.Tokens.Past + (int)index, channels);
        }

        Tensor wide = Wide(selected);
        Tensor normal = tensor(values, device: selected.device).view(selected.shape);
        if (noise.Unit == StrengthUnit.Absolute) return (normal * noise.Std).to(selected.dtype);
        normal = normal / normal.square().mean([-1], keepdim: true).sqrt();
        return (normal.to(wide.dtype) * (selection.Norms(Wide(Current), tokens) * (noise.Std / Math.Sqrt(selection.Hook.Channels)))).to(selected.dtype);
    }

    /// <summary>The components of channels along the basis.</summary>
    private Tensor Components(Tensor x)
    {
        if (operands?.Invoke(source.Index, "directions") is { } given)
        {
            // The same projection written as a function of the directions as they came, for gradients by them.
            Tensor read = Wide(x), directions = given.to(read.dtype).view(-1, x.shape[^1]);          // (K, C)
            return read.matmul(directions.t()).matmul(linalg.inv(directions.matmul(directions.t()))).matmul(directions).to(x.dtype);
        }

        Tensor wide = Wide(x), basis = source.Basis!.ToTorch(x.device).to(wide.dtype);              // (K, C)
        return wide.matmul(basis.t()).matmul(basis).to(x.dtype);
    }

    private long[] AllTokens() => [.. Enumerable.Range(0, lengths.Count * lengths.Max()).Select(token => (long)token)];

    /// <summary>The source row's tokens at the positions of the given ones.</summary>
    private long[] SourceTokens(int sourceRow, long[]? tokens)
    {
        int length = lengths.Max();
        return [.. (tokens ?? AllTokens()).Select(token => ((long)sourceRow * length) + (token % length))];
    }
}
