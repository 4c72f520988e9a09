using Lab.Models.Folders;
using Lab.Models.Interventions;
using Lab.Models.Tests.Interventions;
using Lab.Tensors;
using Lab.Testing;
using static TorchSharp.torch;

namespace Lab.Models.Tests;

/// <summary>The names are an API: clients store them in circuits and interventions.</summary>
public sealed class HookCatalogTests : IDisposable
{
    private const long Rows = 2, Length = 5;

    private readonly SmallModel _model = new();

    private HookCatalog Hooks => _model.Transformer.Hooks;

    public void Dispose() => _model.Dispose();

    [Fact]
    public void All_TwoLayers_HasTheseNamesAndAliases() =>
        Hooks.All.Select(hook => string.Join(" = ", hook.Aliases.Prepend(hook.Name))).ShouldBe(
        [
            "hook_embed = embed.hook_out = transformer.wte.output",
            "hook_pos_embed = pos_embed.hook_out = transformer.wpe.output",
            "blocks.0.hook_resid_pre = 0.resid_in = blocks.0.hook_in = transformer.h.0.input",
            "blocks.0.hook_attn_in",
            "blocks.0.hook_q_input",
            "blocks.0.hook_k_input",
            "blocks.0.hook_v_input",
            "blocks.0.ln1.hook_scale",
            "blocks.0.ln1.hook_normalized",
            "blocks.0.attn.hook_read = 0.attn.act_in = transformer.h.0.attn.c_attn.input",
            "blocks.0.attn.hook_q = 0.attn.q = blocks.0.attn.q.hook_out",
            "blocks.0.attn.hook_k = 0.attn.k = blocks.0.attn.k.hook_out",
            "blocks.0.attn.hook_v = 0.attn.v = blocks.0.attn.v.hook_out",
            "blocks.0.attn.hook_attn_scores",
            "blocks.0.attn.hook_pattern = transformer.h.0.attn.attn_dropout.input",
            "blocks.0.attn.hook_z = 0.attn.y = blocks.0.attn.o.hook_in = transformer.h.0.attn.c_proj.input",
            "blocks.0.attn.hook_result",
            "blocks.0.hook_attn_out = 0.attn.resid_delta = blocks.0.attn.hook_out = transformer.h.0.attn.output",
            "blocks.0.hook_resid_mid = 0.resid_mid = blocks.0.ln2.hook_in = transformer.h.0.ln_2.input",
            "blocks.0.hook_mlp_in",
            "blocks.0.ln2.hook_scale",
            "blocks.0.ln2.hook_normalized",
            "blocks.0.mlp.hook_read = 0.mlp.act_in = transformer.h.0.mlp.c_fc.input",
            "blocks.0.mlp.hook_pre = transformer.h.0.mlp.c_fc.output",
            "blocks.0.mlp.hook_post = 0.mlp.post_act = blocks.0.mlp.out.hook_in = transformer.h.0.mlp.c_proj.input",
            "blocks.0.hook_mlp_out = 0.mlp.resid_delta = blocks.0.mlp.hook_out = transformer.h.0.mlp.output",
            "blocks.0.hook_resid_post = blocks.0.hook_out = transformer.h.0.output",
            "blocks.1.hook_resid_pre = 1.resid_in = blocks.1.hook_in = transformer.h.1.input",
            "blocks.1.hook_attn_in",
            "blocks.1.hook_q_input",
            "blocks.1.hook_k_input",
            "blocks.1.hook_v_input",
            "blocks.1.ln1.hook_scale",
            "blocks.1.ln1.hook_normalized",
            "blocks.1.attn.hook_read = 1.attn.act_in = transformer.h.1.attn.c_attn.input",
            "blocks.1.attn.hook_q = 1.attn.q = blocks.1.attn.q.hook_out",
            "blocks.1.attn.hook_k = 1.attn.k = blocks.1.attn.k.hook_out",
            "blocks.1.attn.hook_v = 1.attn.v = blocks.1.attn.v.hook_out",
            "blocks.1.attn.hook_attn_scores",
            "blocks.1.attn.hook_pattern = transformer.h.1.attn.attn_dropout.input",
            "blocks.1.attn.hook_z = 1.attn.y = blocks.1.attn.o.hook_in = transformer.h.1.attn.c_proj.input",
            "blocks.1.attn.hook_result",
            "blocks.1.hook_attn_out = 1.attn.resid_delta = blocks.1.attn.hook_out = transformer.h.1.attn.output",
            "blocks.1.hook_resid_mid = 1.resid_mid = blocks.1.ln2.hook_in = transformer.h.1.ln_2.input",
            "blocks.1.hook_mlp_in",
            "blocks.1.ln2.hook_scale",
            "blocks.1.ln2.hook_normalized",
            "blocks.1.mlp.hook_read = 1.mlp.act_in = transformer.h.1.mlp.c_fc.input",
            "blocks.1.mlp.hook_pre = transformer.h.1.mlp.c_fc.output",
            "blocks.1.mlp.hook_post = 1.mlp.post_act = blocks.1.mlp.out.hook_in = transformer.h.1.mlp.c_proj.input",
            "blocks.1.hook_mlp_out = 1.mlp.resid_delta = blocks.1.mlp.hook_out = transformer.h.1.mlp.output",
            "blocks.1.hook_resid_post = final_resid = blocks.1.hook_out = transformer.h.1.output",
            "ln_final.hook_scale",
            "ln_final.hook_normalized",
            "unembed.hook_in = transformer.ln_f.output = lm_head.input",
            "unembed.hook_out",
        ]);

    [Fact]
    public void Find_EveryNameAndAlias_IsItsHook()
    {
        foreach (HookPoint hook in Hooks.All)
        {
            foreach (string name in hook.Aliases.Prepend(hook.Name)) Hooks.Find(name).ShouldBeSameAs(hook, name);
        }

        Hooks.Find("blocks.2.hook_resid_pre").ShouldBeNull();
    }

    [Fact]
    public void Forward_TapThatWantsAll_IsCalledOnceAHookInOrderWithItsShape()
    {
        using var scope = NewDisposeScope();
        RecordingTap tap = new();

        _model.Transformer.Forward(zeros([Rows, Length], ScalarType.Int64), tap);

        tap.Tensors.Select(tensor => tensor.Name).ShouldBe(Hooks.All.Select(hook => hook.Name));
        Hooks.All.Select(hook => hook.Index).ShouldBe(Enumerable.Range(0, Hooks.All.Count));
        foreach ((HostTensor tensor, HookPoint hook) in tap.Tensors.Zip(Hooks.All)) tensor.Shape.ShouldBe(ExpectedShape(hook), hook.Name);
    }

    [Fact]
    public void All_ModelWithoutPositionEmbedding_HasNoHookForIt()
    {
        using SmallModel model = new(SmallModel.Config with { Positions = PositionKind.None });

        model.Transformer.Hooks.PosEmbed.ShouldBeNull();
        model.Transformer.Hooks.All.Select(hook => hook.Name).ShouldBe(Hooks.All.Select(hook => hook.Name).Except(["hook_pos_embed"]));
    }

    [Theory]
    [InlineData("hf-gpt2", "transformer.h.1.attn.c_proj.input", "blocks.1.attn.hook_z")]
    [InlineData("hf-gpt2", "transformer.h.0.ln_2.input", "blocks.0.hook_resid_mid")]
    [InlineData("hf-gpt2-prefixed", "transformer.h.0.mlp.c_fc.output", "blocks.0.mlp.hook_pre")]
    [InlineData("hf-gpt2", "transformer.wpe.output", "hook_pos_embed")]
    [InlineData("hf-llama", "model.layers.1.input", "blocks.1.hook_resid_pre")]
    [InlineData("hf-llama", "model.layers.0.self_attn.q_proj.output", "blocks.0.attn.hook_q")]
    [InlineData("hf-llama", "model.layers.0.self_attn.output", "blocks.0.hook_attn_out")]
    [InlineData("hf-llama", "model.layers.0.post_attention_layernorm.input", "blocks.0.hook_resid_mid")]
    [InlineData("hf-llama", "model.layers.0.mlp.up_proj.output", "blocks.0.mlp.hook_pre_linear")]
    [InlineData("hf-llama", "model.layers.0.mlp.down_proj.input", "blocks.0.mlp.hook_post")]
    [InlineData("hf-llama", "model.norm.output", "unembed.hook_in")]
    [InlineData("hf-llama", "lm_head.output", "unembed.hook_out")]
    [InlineData("hf-gemma3", "model.layers.0.post_attention_layernorm.output", "blocks.0.hook_attn_out")]
    [InlineData("hf-gemma3", "blocks.0.ln2_post.hook_out", "blocks.0.hook_mlp_out")]
    [InlineData("hf-gemma3", "model.layers.0.pre_feedforward_layernorm.input", "blocks.0.hook_resid_mid")]
    [InlineData("sparse-rms-sink-bigram", "final_resid", "blocks.1.hook_resid_post")]
    public void Find_NameOfAnotherLibrary_IsTheHook(string folder, string alias, string name)
    {
        using GoldenFolder golden = new(folder);
        using Transformer model = ModelFolder.Load(golden.Folder);

        model.Hooks.Find(alias).ShouldNotBeNull().Name.ShouldBe(name);
        model.Hooks.Find(name).ShouldNotBeNull().Aliases.ShouldContain(alias);
    }

    [Theory]
    [InlineData("hf-llama", "model.layers.0.self_attn.q_proj.input", "blocks.0.attn.hook_read", false)]
    [InlineData("hf-llama", "model.layers.1.self_attn.v_proj.input", "blocks.1.attn.hook_read", false)]
    [InlineData("hf-llama", "model.layers.0.mlp.up_proj.input", "blocks.0.mlp.hook_read", false)]
    [InlineData("hf-gemma3", "model.layers.0.mlp.gate_proj.input", "blocks.0.mlp.hook_read", false)]
    [InlineData("hf-llama", "model.layers.0.mlp.input", "blocks.0.mlp.hook_read", true)]
    [InlineData("hf-llama", "model.layers.0.input_layernorm.output", "blocks.0.attn.hook_read", true)]
    [InlineData("hf-gpt2", "transformer.h.0.attn.c_attn.input", "blocks.0.attn.hook_read", true)]
    [InlineData("hf-gpt2", "transformer.h.1.mlp.c_fc.input", "blocks.1.mlp.hook_read", true)]
    public void Plan_InputOfOneOfSeveralMatrices_IsCapturedButNotChanged(string folder, string alias, string name, bool isChangeable)
    {
        using GoldenFolder golden = new(folder);
        using Transformer model = ModelFolder.Load(golden.Folder);
        TokenBatch batch = new(model.Config, [[1, 2]]);
        ForwardPlan Plan(ActivationSelector selector) => ForwardPlan.Resolve(model.Hooks, batch, [], [new Intervention(selector, new InterventionOperation.Scale(2))]);

        ForwardPlan.Resolve(model.Hooks, batch, [new ActivationSelector(alias)], []).Captures.ShouldHaveSingleItem().Hook.Name.ShouldBe(name);
        model.Hooks.Find(name).ShouldNotBeNull().Aliases.ShouldContain(alias);
        Plan(new ActivationSelector(name)).Interventions.ShouldHaveSingleItem();
        if (isChangeable)
        {
            Plan(new ActivationSelector(alias)).Interventions.ShouldHaveSingleItem();
            return;
        }

        ArgumentException error = Should.Throw<ArgumentException>(() => Plan(new ActivationSelector(alias)));
        error.ParamName.ShouldBe("interventions[0].selector.hook");
        error.Message.ShouldContain($"'{name}'");
        Should.Throw<ArgumentException>(() => Plan(new ActivationSelector("hook_embed") { Hooks = [name, alias] })).ParamName.ShouldBe("interventions[0].selector.hooks[1]");
    }

    [Theory]
    [InlineData("hf-gemma3", "model.layers.0.self_attn.output")]
    [InlineData("hf-gemma3", "model.embed_tokens.output")]
    [InlineData("sparse-rms-sink-bigram", "lm_head.output")]
    [InlineData("sparse-rms-sink-bigram", "transformer.h.0.mlp.input")]
    public void Find_NameOfATensorThatNoHookHas_IsNull(string folder, string alias)
    {
        // There it stands for something else: before a second norm, a scale, a bigram table or AbsTopK.
        using GoldenFolder golden = new(folder);
        using Transformer model = ModelFolder.Load(golden.Folder);

        model.Hooks.Find(alias).ShouldBeNull();
    }

    private static long[] ExpectedShape(HookPoint hook) =>
    [
        .. hook.Dimensions.Zip(hook.Shape, (dimension, size) => dimension switch
        {
            HookDimension.Batch => Rows,
            HookDimension.Pos or HookDimension.QueryPos or HookDimension.KeyPos => Length,
            _ => size,
        }),
    ];
}
