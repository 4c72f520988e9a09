using Lab.Models.Tests.Interventions;
using Lab.Tensors;
using Lab.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>Laws of attention that hold whatever the weights are.</summary>
public sealed class TransformerAttentionTests : IDisposable
{
    private const string PatternHook = "blocks.1.attn.hook_pattern";

    private static readonly int[] Tokens = [3, 1, 4, 1, 5, 9, 2, 6];

    private readonly SmallModel _model = new();

    public static TheoryData<bool, double> Architectures => new() { { true, 0.5 }, { false, 0.5 }, { true, 1 }, { false, 1 } };

    public void Dispose() => _model.Dispose();

    [Fact]
    public void Forward_SinkLogitOfMinusInfinity_IsAttentionWithoutSink()
    {
        using SmallModel without = WithoutSink();
        _model.Logits([Tokens]).Floats.SequenceEqual(without.Logits([Tokens]).Floats).ShouldBeFalse();
        foreach (BlockWeights block in _model.Transformer.Weights.Blocks) block.Attention.SinkLogit!.Value.fill_(float.NegativeInfinity);

        _model.Logits([Tokens]).ShouldBeClose(without.Logits([Tokens]));
    }

    [Fact]
    public void Pattern_Rows_SumToOneWithoutTheSinksShare()
    {
        using SmallModel without = WithoutSink();

        Pattern(_model).sum(-1).lt(1).all().item<bool>().ShouldBeTrue();
        Pattern(without).sum(-1).sub(1).abs().max().item<float>().ShouldBeLessThan(1e-5f);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pattern_AboveTheDiagonal_IsZero(bool hasSink)
    {
        using SmallModel model = new(SmallModel.Config with { AttentionSink = hasSink });
        Tensor pattern = Pattern(model);

        pattern.triu(1).count_nonzero().item<long>().ShouldBe(0);
        pattern.count_nonzero().item<long>().ShouldBe(SmallModel.Config.NHeads * Tokens.Length * (Tokens.Length + 1) / 2);
    }

    [Theory]
    [MemberData(nameof(Architectures))]
    public void Forward_LaterTokenChanged_ChangesNoEarlierLogit(bool hasSink, double activationFraction)
    {
        using SmallModel model = new(SmallModel.Config with { AttentionSink = hasSink, ActivationFraction = activationFraction });
        HostTensor before = model.Logits([Tokens]);
        int vocabulary = SmallModel.Config.DVocab;

        for (int position = 1; position < Tokens.Length; position++)
        {
            int[] changed = [.. Tokens];
            changed[position] = 17;
            HostTensor after = model.Logits([changed]);

            after.Floats[..(position * vocabulary)].SequenceEqual(before.Floats[..(position * vocabulary)]).ShouldBeTrue($"position {position}");
            after.Floats[(position * vocabulary)..].SequenceEqual(before.Floats[(position * vocabulary)..]).ShouldBeFalse($"position {position}");
        }
    }

    /// <summary>The same weights, without their sinks.</summary>
    private SmallModel WithoutSink()
    {
        SmallModel without = new(SmallModel.Config with { AttentionSink = false });
        Dictionary<string, Tensor> weights = _model.Transformer.Weights.All.ToDictionary(parameter => parameter.Name, parameter => parameter.Value);
        foreach (NamedParameter parameter in without.Transformer.Weights.All) parameter.Value.copy_(weights[parameter.Name]);
        return without;
    }

    private static Tensor Pattern(SmallModel model)
    {
        RecordingTap tap = new([PatternHook]);
        using (NewDisposeScope()) model.Transformer.Forward(tensor(Tokens, dtype: ScalarType.Int64).unsqueeze(0), tap);
        return tap[PatternHook].ToTorch();
    }
}
