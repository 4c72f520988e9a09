using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Models.Tests.Interventions;

public sealed class WeightEditTests
{
    private static readonly int[][] Rows = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8]];

    public static TheoryData<string> Names => RandomModels.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_EditOfAnyParameter_EqualsAModelWithThatParameterChanged(string name)
    {
        using Transformer model = RandomModels.Create(name), changed = RandomModels.Create(name);
        HostTensor plain = Logits(model, [], out _);
        foreach (NamedParameter parameter in changed.Weights.All)
        {
            if (model.Parameters.Find(parameter.Name)!.Kind == ParameterKind.Sink) continue;
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            WeightEdit edit = EditOf(model, parameter.Name, seed: 1) with { Coefficient = -0.5f };
            Tensor before = parameter.Value.clone();
            parameter.Value.add_(Delta(model, edit));

            HostTensor edited = Logits(model, [edit], out IReadOnlyList<int> fired);

            HostTensor expected = Logits(changed, [], out _);
            edited.ShouldBeClose(expected, 1e-4);
            fired.ShouldBe([12], parameter.Name);
            edited.Floats.SequenceEqual(plain.Floats).ShouldBeFalse(parameter.Name);
            parameter.Value.copy_(before);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_EditsOfSomeTokens_EqualChangedWeightsForThoseTokensOnly(string name)
    {
        using Transformer model = RandomModels.Create(name), changed = RandomModels.Create(name);
        ActivationSelector tokens = new("") { Rows = [2, 0], Positions = [-1, 1] };
        bool[] mask = new bool[15];
        foreach (int token in new[] { 1, 4, 11, 13 }) mask[token] = true;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        List<WeightEdit> edits = [];
        foreach (NamedParameter parameter in changed.Weights.All)
        {
            if (model.Parameters.Find(parameter.Name)!.Kind == ParameterKind.Sink) continue;
            edits.Add(EditOf(model, parameter.Name, seed: edits.Count) with { Tokens = tokens, Coefficient = 0.2f });
            parameter.Value.add_(Delta(model, edits[^1]));
        }

        HostTensor edited = Logits(model, edits, out IReadOnlyList<int> fired);

        Tensor ids = new TokenBatch(model.Config, Rows).ToTensor(CPU);
        HostTensor expected = Valid(model.Forward(new ForwardInput(ids) { Edits = new ChangedWeights(changed, tensor(mask).view(3, 5)) })!);
        edited.ShouldBeClose(expected, 1e-4);
        fired.ShouldBe(edits.Select(_ => 4));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_EditsInGenerationWithCache_EqualOnePass(string name)
    {
        using Transformer model = RandomModels.Create(name);
        int[] row = Rows[0];
        string[] parameters = [.. model.Weights.All.Select(parameter => parameter.Name).Where(parameter => model.Parameters.Find(parameter)!.Kind != ParameterKind.Sink)];
        WeightEdit[] edits = [.. parameters.Select((parameter, i) => EditOf(model, parameter, i) with { Coefficient = 0.2f, Tokens = new ActivationSelector("") { PositionRanges = [new IndexRange(1, 3)] } })];
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        HostTensor expected = Edited(model, ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, [row]), [], [], edits: edits, parameters: model.Parameters), null, out _).ToHost("logits");

        using SequenceCache cache = new(model, 5);
        ForwardPlan prefill = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, [row[..2]]), [], [], reach: 5, edits: edits, parameters: model.Parameters);
        List<Tensor> logits = [];
        int[] fired = new int[edits.Length];
        for (int past = 0; past < 5; past = past == 0 ? 2 : past + 1)
        {
            ForwardPlan plan = past == 0 ? prefill : prefill.AtStep(new TokenBatch(model.Config, [[row[past]]]), new StepPosition(past, past - 2));
            logits.Add(Edited(model, plan, cache, out IReadOnlyList<int> counts));
            for (int i = 0; i < fired.Length; i++) fired[i] += counts[i];
        }

        cat([.. logits], 1).ToHost("logits").ShouldBeClose(expected, 1e-4);
        fired.ShouldBe(edits.Select(_ => 3));
    }

    [Fact]
    public void Forward_SeveralEditsOfOneParameter_AddUp()
    {
        using Transformer model = RandomModels.Create("gpt2");
        const string Parameter = "transformer.h.0.mlp.c_fc.weight";
        WeightEdit edit = EditOf(model, Parameter, 1);

        HostTensor twice = Logits(model, [edit, edit with { Coefficient = 2 }], out IReadOnlyList<int> fired);

        twice.ShouldBeClose(Logits(model, [edit with { Coefficient = 3 }], out _), 1e-4);
        fired.ShouldBe([12, 12]);
    }

    [Fact]
    public void Forward_EditedRun_LeavesTheModelBitForBit()
    {
        using Transformer model = RandomModels.Create("gemma3");
        byte[][] Bits() => [.. model.Weights.All.Select(parameter => parameter.Value.ToHost("").Data.ToArray())];
        byte[][] before = Bits();
        HostTensor plain = Logits(model, [], out _);

        Logits(model, [.. model.Weights.All.Select((parameter, i) => EditOf(model, parameter.Name, i))], out _);

        Bits().ShouldBe(before);
        Logits(model, [], out _).Floats.SequenceEqual(plain.Floats).ShouldBeTrue();
    }

    [Fact]
    public void Forward_EditsWithTwin_LeaveTheCleanHalf()
    {
        using Transformer model = RandomModels.Create("llama");
        TokenBatch batch = new(model.Config, Rows);
        WeightEdit edit = EditOf(model, "model.layers.0.mlp.down_proj.weight", 1);
        ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, batch, [], [], edits: [edit], parameters: model.Parameters);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        Tensor both = model.Forward(new ForwardInput(batch.Twice().ToTensor(CPU)) { Edits = new WeightEdits(plan.Edits, batch.Count, hasTwin: true) })!;

        Valid(both.narrow(0, 0, 3)).ShouldBeClose(Logits(model, [], out _));
        Valid(both.narrow(0, 3, 3)).ShouldBeClose(Logits(model, [edit], out _));
    }

    public static TheoryData<string, WeightEdit, string> BadEdits => new()
    {
        { "llama", new WeightEdit("model.layers.0.mlp.down_proj.weigth") { Bias = HostTensor.FromFloats("", new float[16], 16) }, "parameter" },
        { "circuit_sparsity", new WeightEdit("transformer.h.0.attn.attn_imp.sink_logit") { Bias = HostTensor.FromFloats("", new float[4], 4) }, "parameter" },
        { "llama", new WeightEdit("model.norm.weight"), "" },
        { "llama", new WeightEdit("model.norm.weight") { Bias = HostTensor.FromFloats("", new float[15], 15) }, "bias" },
        { "llama", new WeightEdit("model.norm.weight") { LowRank = new LowRankDelta(HostTensor.FromFloats("", new float[16], 16, 1), HostTensor.FromFloats("", [1], 1, 1)) }, "low_rank" },
        { "llama", new WeightEdit("model.embed_tokens.weight") { Bias = HostTensor.FromFloats("", new float[20], 20) }, "bias" },
        { "llama", new WeightEdit("model.layers.1.mlp.down_proj.weight") { LowRank = new LowRankDelta(HostTensor.FromFloats("", new float[24], 24, 1), HostTensor.FromFloats("", new float[16], 1, 16)) }, "low_rank.b" },
        { "gpt2", new WeightEdit("transformer.h.1.mlp.c_proj.weight") { LowRank = new LowRankDelta(HostTensor.FromFloats("", new float[16], 16, 1), HostTensor.FromFloats("", new float[16], 1, 16)) }, "low_rank.a" },
        { "llama", new WeightEdit("model.norm.weight") { Bias = HostTensor.FromFloats("", new float[16], 16), Coefficient = float.NaN }, "coefficient" },
        { "llama", new WeightEdit("model.norm.weight") { Bias = HostTensor.FromFloats("", new float[16], 16), Tokens = new ActivationSelector("hook_embed") }, "tokens.hook" },
        { "llama", new WeightEdit("model.norm.weight") { Bias = HostTensor.FromFloats("", new float[16], 16), Tokens = new ActivationSelector("") { Channels = [1] } }, "tokens.channels" },
        { "llama", new WeightEdit("model.norm.weight") { Bias = HostTensor.FromFloats("", new float[16], 16), Tokens = new ActivationSelector("") { Rows = [3] } }, "tokens.rows[0]" },
    };

    [Theory]
    [MemberData(nameof(BadEdits))]
    public void Resolve_EditThatDoesNotFit_NamesTheField(string name, WeightEdit edit, string field)
    {
        using Transformer model = RandomModels.Create(name);

        Should.Throw<ArgumentException>(() => Logits(model, [edit], out _)).ParamName.ShouldBe($"weight_edits[0]{(field.Length > 0 ? "." : "")}{field}");
    }

    [Fact]
    public void Resolve_UnknownParameter_TellsTheNearest()
    {
        using Transformer model = RandomModels.Create("llama");

        Should.Throw<ArgumentException>(() => Logits(model, [new WeightEdit("model.layers.1.mlp.downproj.weight")], out _))
            .Message.ShouldContain("near it are model.layers.1.mlp.down_proj.weight, ");
    }

    [Theory]
    [InlineData("blocks.0.hook_q_input", "model.layers.0.self_attn.q_proj.weight", false)]
    [InlineData("blocks.0.hook_v_input", "model.layers.0.self_attn.q_proj.bias", false)]
    [InlineData("blocks.0.attn.hook_result", "model.layers.0.self_attn.o_proj.weight", false)]
    [InlineData("blocks.0.attn.hook_result", "model.layers.1.self_attn.o_proj.weight", true)]
    [InlineData("blocks.0.attn.hook_result", "model.layers.0.self_attn.q_proj.weight", true)]
    [InlineData("blocks.1.hook_q_input", "model.layers.1.self_attn.o_proj.weight", true)]
    [InlineData("blocks.0.attn.hook_pattern", "model.layers.0.self_attn.q_proj.weight", true)]
    public void Resolve_EditOfAMatrixWhoseHeadsAreTakenApart_IsRefused(string hook, string parameter, bool isAllowed)
    {
        using Transformer model = RandomModels.Create("qwen2");
        Intervention change = new(new ActivationSelector(hook), new InterventionOperation.Scale(1));
        ForwardPlan Plan() => ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, Rows), [], [change], edits: [EditOf(model, parameter, 1)], parameters: model.Parameters);

        if (isAllowed)
        {
            Plan().Edits.ShouldHaveSingleItem();
            return;
        }

        ArgumentException e = Should.Throw<ArgumentException>(Plan);
        e.ParamName.ShouldBe("weight_edits[0].parameter");
        e.Message.ShouldContain(hook);
        e.Message.ShouldContain(parameter);
    }

    [Fact]
    public void Forward_EditThatSelectsNoToken_DoesNotFire()
    {
        using Transformer model = RandomModels.Create("llama");
        WeightEdit edit = EditOf(model, "model.norm.weight", 1) with { Tokens = new ActivationSelector("") { TokenIds = [19] } };

        HostTensor edited = Logits(model, [edit], out IReadOnlyList<int> fired);

        fired.ShouldBe([0]);
        edited.ShouldBeClose(Logits(model, [], out _));
    }

    /// <summary>A random edit of rank 2 of a matrix, or of a vector.</summary>
    private static WeightEdit EditOf(Transformer model, string parameter, int seed)
    {
        ParameterRole role = model.Parameters.Find(parameter)!;
        Random random = new(seed);
        HostTensor Values(params long[] shape) => HostTensor.FromFloats("", [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => (float)(random.NextDouble() - 0.5))], shape);
        return role.Kind == ParameterKind.Vector
            ? new WeightEdit(parameter) { Bias = Values(role.Outputs) }
            : new WeightEdit(parameter) { LowRank = new LowRankDelta(Values(role.Outputs, 2), Values(2, role.Inputs)) };
    }

    /// <summary>What an edit adds to the parameter, in the file's layout.</summary>
    private static Tensor Delta(Transformer model, WeightEdit edit)
    {
        if (edit.LowRank is not { } low) return edit.Bias!.ToTorch() * edit.Coefficient;
        Tensor delta = low.B.ToTorch().matmul(low.A.ToTorch()) * edit.Coefficient;
        bool isInOut = model.Config.Family == ModelFamily.Gpt2 && model.Parameters.Find(edit.Parameter)!.Kind == ParameterKind.Matrix;
        return isInOut ? delta.t() : delta;
    }

    private static HostTensor Logits(Transformer model, IReadOnlyList<WeightEdit> edits, out IReadOnlyList<int> fired)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return Valid(Edited(model, ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, Rows), [], [], edits: edits, parameters: model.Parameters), null, out fired));
    }

    private static Tensor Edited(Transformer model, ForwardPlan plan, SequenceCache? cache, out IReadOnlyList<int> fired)
    {
        WeightEdits edits = new(plan.Edits, plan.Batch.Count);
        Tensor logits = model.Forward(new ForwardInput(plan.Batch.ToTensor(CPU)) { Caches = cache is null ? null : [cache], Edits = plan.Edits.Count == 0 ? null : edits })!;
        fired = edits.FireCounts;
        return logits;
    }

    /// <summary>Logits of tokens that are no padding: [tokens, d_vocab].</summary>
    private static HostTensor Valid(Tensor logits) => cat([.. Rows.Select((row, i) => logits[i].narrow(0, 0, row.Length))], 0).ToHost("logits");

    /// <summary>The way to edit that needs no deltas: another model's parameters, for the masked tokens.</summary>
    private sealed class ChangedWeights(Transformer changed, Tensor mask) : IWeightEdits
    {
        private readonly Dictionary<string, Tensor> _values = changed.Weights.All.ToDictionary(parameter => parameter.Name, parameter => parameter.Value);
        private readonly Transformer _model = RandomModels.Create(changed.Config);

        public bool Touches(string parameter) => true;

        public Tensor Linear(string parameter, Tensor x, Tensor y)
        {
            Tensor weight = _values[parameter];
            bool isInOut = changed.Config.Family == ModelFamily.Gpt2 && changed.Parameters.Find(parameter)!.Kind == ParameterKind.Matrix;
            return Masked(F.linear(x, isInOut ? weight.t() : weight), y);
        }

        public Tensor Vector(string parameter, Tensor? factor, Tensor y)
        {
            Tensor before = _model.Weights.All.Single(one => one.Name == parameter).Value, delta = _values[parameter] - before;
            return Masked(factor is null ? y + delta : y + (factor * delta), y);
        }

        public Tensor Lookup(string parameter, Tensor ids, Tensor y) => Masked(_values[parameter].index_select(0, ids.flatten()).view(y.shape), y);

        private Tensor Masked(Tensor changedY, Tensor y) => where(mask.view([3, 5, .. Enumerable.Repeat(1L, (int)y.dim() - 2)]), changedY, y);
    }
}
