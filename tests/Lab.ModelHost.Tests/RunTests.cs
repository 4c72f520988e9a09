using Google.Protobuf;
using Lab.ModelHost.Mapping;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.HostedLab;
using static TorchSharp.torch;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests;

public sealed class RunTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static readonly int[][] Rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13]];

    private static HostTensor LocalLogits(int[][] rows)
    {
        using Transformer gpt = NewModel();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return gpt.Forward(new TokenBatch(Config, rows).ToTensor(CPU)).ToHost("logits");
    }

    [Fact]
    public async Task Run_CapturesAndLogits_EqualTheModelsOwn()
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_post" });
        request.Captures.Add(new Selector { Hook = "0.attn.q", Positions = { -1 }, Heads = { 1 } });
        request.Logits = LogitsMode.All;

        (RunStarted started, List<HostTensor> tensors, RunSummary summary) = await lab.RunAsync(request);

        using Transformer gpt = NewModel();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ForwardPlan plan = ForwardPlan.Resolve(
            gpt.Hooks, new TokenBatch(Config, Rows), [new ActivationSelector("blocks.*.hook_resid_post"), new ActivationSelector("0.attn.q") { Positions = [-1], Heads = [1] }], []);
        CaptureTap captures = new(plan.Captures);
        TorchSharp.torch.Tensor logits = gpt.Forward(plan.Batch.ToTensor(CPU), new ForwardTap(new InterventionTap([], plan.Batch.Lengths), captures, CancellationToken.None));
        tensors[..^1].ShouldBe(captures.Tensors);
        tensors[^1].Shape.ShouldBe([3, 4, Config.DVocab]);
        for (int row = 0; row < 3; row++)
        {
            using TorchSharp.torch.Tensor own = tensors[^1].ToTorch()[row];
            own.narrow(0, 0, Rows[row].Length).equal(logits[row].narrow(0, 0, Rows[row].Length)).all().item<bool>().ShouldBeTrue();
            own.narrow(0, Rows[row].Length, 4 - Rows[row].Length).count_nonzero().item<long>().ShouldBe(0);
        }

        started.Tensors.Count.ShouldBe(4);
        started.Rows.Select(row => row.Ids.ToArray()).ShouldBe(Rows);
        started.ModelDigest.ShouldBe((await lab.Store.GetAsync(ModelName, TestContext.Current.CancellationToken)).Digest);
    }

    [Fact]
    public async Task Run_LastLogits_AreThoseOfEachRowsLastToken()
    {
        RunRequest request = Request(Rows);
        request.Logits = LogitsMode.Last;

        HostTensor last = (await lab.RunAsync(request)).Tensors.ShouldHaveSingleItem();

        last.Shape.ShouldBe([3, Config.DVocab]);
        for (int row = 0; row < 3; row++)
        {
            HostTensor single = LocalLogits([Rows[row]]);
            for (int token = 0; token < Config.DVocab; token++)
            {
                last.Floats[(row * Config.DVocab) + token].ShouldBe(single.Floats[((Rows[row].Length - 1) * Config.DVocab) + token], 1e-5f);
            }
        }
    }

    [Fact]
    public async Task Run_Texts_RunAsTheirTokens()
    {
        RunRequest request = new() { Model = ModelName, Input = new Input { Texts = new Texts { Texts_ = { "the cat", "mat" } } } };

        (RunStarted started, List<HostTensor> tensors, RunSummary summary) = await lab.RunAsync(request);

        started.Rows.Select(row => row.Ids.ToArray()).ShouldBe([Tokenizer.Encode("the cat"), Tokenizer.Encode("mat")]);
        tensors.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_Interventions_AreAppliedCountedAndHashed()
    {
        RunRequest request = Request(Rows);
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "blocks.*.hook_mlp_out" }, Zero = new ZeroOperation() });
        request.Interventions.Add(new Proto.Intervention
        {
            Selector = new Selector { Hook = "blocks.1.hook_resid_post", Rows = { 0 } },
            Set = new SetOperation { Value = new TensorSource { Inline = HostTensor.FromFloats("", [2.5f]).ToMessage() } },
        });
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post" });
        request.Captures.Add(new Selector { Hook = "blocks.0.hook_mlp_out" });

        (RunStarted started, List<HostTensor> tensors, RunSummary summary) = await lab.RunAsync(request);

        summary.FireCounts.ShouldBe([2, 1]);
        started.InterventionHashes.ShouldBe(request.Interventions.Select(one => one.Hash()));
        tensors[0].Floats.ToArray().ShouldAllBe(x => x == 0);
        tensors[1].Floats[..(4 * 32)].ToArray().ShouldAllBe(x => x == 2.5f);
        tensors[1].Floats[(4 * 32)].ShouldNotBe(2.5f);
    }

    [Theory]
    [InlineData(DataType.Fp32)]
    [InlineData(DataType.Fp16)]
    [InlineData(DataType.Bf16)]
    public async Task Plan_ShapesAndBytes_AreWhatRunSends(DataType type)
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = "blocks.*.*", Rows = { 1, 0 } });
        request.Captures.Add(new Selector { Hook = "blocks.*.attn.*" });
        request.Captures.Add(new Selector { Hook = "blocks.1.attn.hook_z", Heads = { 0 }, Channels = { 1, 2, 3 }, Positions = { 0, -1 } });
        request.Logits = LogitsMode.All;
        request.DataType = type;

        PlanResponse plan = await lab.Client.PlanAsync(new PlanRequest { Run = request }, cancellationToken: TestContext.Current.CancellationToken);
        (RunStarted started, List<HostTensor> tensors, RunSummary summary) = await lab.RunAsync(request);

        plan.Tensors.Select(tensor => tensor.Name).ShouldBe(tensors.Select(tensor => tensor.Name));
        plan.Tensors.Select(tensor => tensor.Shape.ToArray()).ShouldBe(tensors.Select(tensor => tensor.Shape));
        plan.Tensors.Select(tensor => tensor.SizeBytes).ShouldBe(tensors.Select(tensor => (long)tensor.Data.Length));
        plan.TotalBytes.ShouldBe(tensors.Sum(tensor => (long)tensor.Data.Length));
        started.Tensors.ShouldBe(plan.Tensors);
        plan.Unmatched.ShouldBeEmpty();
    }

    [Fact]
    public async Task Plan_Flops_AreCountedByHand()
    {
        PlanResponse plan = await lab.Client.PlanAsync(new PlanRequest { Run = Request([1, 2, 3], [4]) }, cancellationToken: TestContext.Current.CancellationToken);

        // Six padded tokens: q, k, v and output 4 x 32 x 32; MLP 2 x 32 x 48; attention 2 x 3 keys x 32; unembedding 32 x d_vocab.
        long perToken = (2 * ((4 * 32 * 32) + (2 * 32 * 48) + (2 * 3 * 32))) + (32 * Config.DVocab);
        plan.Flops.ShouldBe(2 * 6 * perToken);
        // Two residual streams of 6 x 32 and three times the logits, 6 x d_vocab, the largest tensor; nothing is sent.
        plan.PeakBytes.ShouldBe(4 * ((2 * 6 * 32) + (3 * 6 * Config.DVocab)));
    }

    [Fact]
    public async Task Plan_InterventionThatReadsTheCleanRun_CountsTheRowsTwice()
    {
        RunRequest frozen = Request([1, 2, 3], [4]), doubled = Request([1, 2, 3], [4], [1, 2, 3], [4]);
        frozen.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_mid" }, Freeze = new FreezeOperation() });
        PlanResponse plan = await lab.Client.PlanAsync(new PlanRequest { Run = frozen }, cancellationToken: TestContext.Current.CancellationToken);
        PlanResponse twice = await lab.Client.PlanAsync(new PlanRequest { Run = doubled }, cancellationToken: TestContext.Current.CancellationToken);

        plan.Flops.ShouldBe(twice.Flops);
        plan.PeakBytes.ShouldBe(twice.PeakBytes);
    }

    [Fact]
    public async Task Plan_UnmatchedSelectors_AreReportedAndTheRestPlanned()
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = "hook_embed" });
        request.Captures.Add(new Selector { Hook = "blocks.7.hook_resid_pre" });
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "hook_embed", Channels = { 32 } }, Zero = new ZeroOperation() });

        PlanResponse plan = await lab.Client.PlanAsync(new PlanRequest { Run = request }, cancellationToken: TestContext.Current.CancellationToken);

        plan.Tensors.ShouldHaveSingleItem().Name.ShouldBe("hook_embed");
        plan.Unmatched[0].ShouldStartWith("captures[1].hook: ");
        plan.Unmatched[1].ShouldStartWith("interventions[0].selector.channels[0]: ");
    }

    [Theory]
    [InlineData(Encoding.Sparse, 0)]
    [InlineData(Encoding.Int8Scaled, 0.05)]
    public async Task Run_EncodedCaptures_AreRestored(Encoding encoding, double tolerance)
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = "blocks.0.mlp.hook_post" });
        request.Logits = LogitsMode.Last;
        List<HostTensor> raw = (await lab.RunAsync(request)).Tensors;
        request.Encoding = encoding;

        List<HostTensor> encoded = (await lab.RunAsync(request)).Tensors;

        encoded[1].ShouldBe(raw[1]);
        encoded[0].Shape.ShouldBe(raw[0].Shape);
        for (int i = 0; i < raw[0].ElementCount; i++) encoded[0].Floats[i].ShouldBe(raw[0].Floats[i], tolerance);
    }

    [Fact]
    public async Task ListHooks_SmallModel_GivesNamesShapesAndAliases()
    {
        ListHooksResponse response = await lab.Client.ListHooksAsync(new ListHooksRequest { Model = ModelName }, cancellationToken: TestContext.Current.CancellationToken);

        response.Hooks.Count.ShouldBe(2 + (2 * 25) + 4);
        Hook z = response.Hooks.Single(hook => hook.Name == "blocks.1.attn.hook_z");
        z.Dimensions.ShouldBe(["batch", "pos", "head", "d_head"]);
        z.Shape.ShouldBe([-1, -1, 2, 16]);
        z.Aliases.ShouldContain("1.attn.y");
    }

    [Fact]
    public async Task TokenizeThenDetokenize_Text_ComesBack()
    {
        const string Text = "the cat said “naïve” 🐱";

        TokenizeResponse tokens = await lab.Client.TokenizeAsync(new TokenizeRequest { Model = ModelName, Text = Text }, cancellationToken: TestContext.Current.CancellationToken);
        DetokenizeResponse back = await lab.Client.DetokenizeAsync(new DetokenizeRequest { Model = ModelName, Ids = { tokens.Ids } }, cancellationToken: TestContext.Current.CancellationToken);

        tokens.Ids.ShouldBe(Tokenizer.Encode(Text));
        tokens.Tokens.Count.ShouldBe(tokens.Ids.Count);
        back.Text.ShouldBe(Text);
    }
}
