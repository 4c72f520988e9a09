using System.Runtime.InteropServices;
using Lab.Models.Diffs;
using Lab.Models.Interventions;
using Lab.Models.Tests.Gradients;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Diffs;

public sealed class DiffPassTests
{
    private static readonly int[][] _rows = [[3, 1, 4, 1, 5], [9, 2, 6], [7, 7, 1, 0]];

    private static readonly DiffOptions _everything = new() { Parts = DeltaParts.Deltas | DeltaParts.Norms, Logits = DiffLogits.All, Divergence = Divergence.LogitLens };

    public static TheoryData<string> Families => [.. FamilyConfigs.All.Keys];

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_ChangeThatChangesNothing_DiffersNowhereByABit(string family)
    {
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16 })
        {
            using Transformer model = FamilyConfigs.New(family, type: type);
            ActivationSelector[] captures = [.. model.Hooks.All.Select(hook => new ActivationSelector(hook.Name))];

            Difference difference = Run(model, captures, _everything, new Intervention(new ActivationSelector("hook_embed"), new InterventionOperation.Scale(1)));

            difference.Tensors.Count.ShouldBe((3 * captures.Length) + 2);
            foreach (HostTensor tensor in difference.Tensors) tensor.Doubles().ShouldAllBe(x => x == 0, tensor.Name);
            difference.Result.Divergences.ShouldBe([0, 0, 0]);
            difference.Result.Agreements.ShouldBe([1, 1, 1], 1e-9);
            difference.Result.FireCounts.ShouldBe([1]);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_Deltas_AreThoseOfTwoRuns(string family)
    {
        using Transformer model = FamilyConfigs.New(family);
        Intervention[] interventions =
        [
            new(new ActivationSelector("blocks.0.hook_mlp_out") { Rows = [0, 2], Positions = [1, -1] }, new InterventionOperation.Scale(3)),
            new(new ActivationSelector("blocks.1.attn.hook_pattern"), new InterventionOperation.Freeze()),
        ];
        ActivationSelector[] captures =
        [
            .. model.Hooks.All.Where(hook => !hook.IsOnRequest || hook.Dimensions.Contains(HookDimension.KeyPos)).Select(hook => new ActivationSelector(hook.Name)),
            new("blocks.1.attn.hook_z") { Rows = [2, 0], Positions = [-1, 0], Heads = [1], Channels = [3, 0] },
        ];

        Difference difference = Run(model, captures, _everything, interventions);

        (List<HostTensor> clean, HostTensor cleanLogits) = Captured(model, captures);
        (List<HostTensor> changed, HostTensor changedLogits) = Captured(model, captures, interventions);
        HostTensor[] deltas = [.. difference.Tensors.Where(tensor => tensor.Name.StartsWith("delta/", StringComparison.Ordinal) && tensor.Name != "delta/logits")];
        deltas.Select(tensor => tensor.Name).ShouldBe(clean.Select(tensor => $"delta/{tensor.Name}"));
        for (int i = 0; i < deltas.Length; i++) ShouldBeDelta(deltas[i], clean[i], changed[i]);
        ShouldBeDelta(difference["delta/logits"], cleanLogits, changedLogits);
        deltas.Count(tensor => tensor.Doubles().Any(x => x != 0)).ShouldBeGreaterThan(20);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Run_BeforeTheFirstChange_DiffersNowhereByABit(string family)
    {
        using Transformer model = FamilyConfigs.New(family, type: ScalarType.Float32);
        Intervention late = new(new ActivationSelector("blocks.1.hook_resid_mid"), new InterventionOperation.Add(HostTensor.FromFloats("", [.. Enumerable.Range(0, 12).Select(i => MathF.Sin(i) + 2)], 12)));
        int first = model.Hooks.Blocks[1].ResidMid.Index;

        Difference difference = Run(model, [.. model.Hooks.All.Select(hook => new ActivationSelector(hook.Name))], _everything, late);

        foreach (HookPoint hook in model.Hooks.All.Where(hook => hook.Index < first)) difference[$"delta/{hook.Name}"].Doubles().ShouldAllBe(x => x == 0, hook.Name);
        difference["delta/blocks.1.hook_resid_mid"].Doubles()[..60].ShouldAllBe(x => x > 0.9 && x < 3.1);
        float[] kl = difference["kl"].Floats.ToArray();
        kl[..15].ShouldAllBe(x => x == 0);
        kl[15..20].ShouldAllBe(x => x > 0);
    }

    [Fact]
    public void Run_Divergences_AreThoseByHand()
    {
        using Transformer model = FamilyConfigs.New("llama");
        Intervention change = new(new ActivationSelector("hook_embed") { Rows = [0, 1] }, new InterventionOperation.Scale(2));
        ActivationSelector[] captures = [new("blocks.*.hook_resid_post"), new("unembed.hook_out")];

        Difference lens = Run(model, [], new DiffOptions { Divergence = Divergence.LogitLens }, change);
        Difference final = Run(model, [], new DiffOptions { Divergence = Divergence.Final }, change);

        float[] kl = lens.Tensors.ShouldHaveSingleItem().Floats.ToArray();
        lens.Tensors[0].Shape.ShouldBe([2, 3, 5]);
        final.Tensors.ShouldHaveSingleItem().Floats.ToArray().ShouldBe(kl[15..]);
        (List<HostTensor> clean, _) = Captured(model, captures);
        (List<HostTensor> changed, _) = Captured(model, captures, change);
        double[] gain = Values(model.Weights.LnFinal.Gain.Value), unembedding = Values(model.Weights.Unembedding.Value);
        for (int row = 0; row < 3; row++)
        {
            double mean = 0, agreement = 0;
            for (int position = 0; position < 5; position++)
            {
                bool isPadding = position >= _rows[row].Length;
                for (int layer = 0; layer < 2; layer++)
                {
                    double[] p = Lens(clean[layer], row, position), q = Lens(changed[layer], row, position);
                    double expected = isPadding ? 0 : p.Zip(q).Sum(pair => pair.First * Math.Log(pair.First / pair.Second));
                    ((double)kl[(((layer * 3) + row) * 5) + position]).ShouldBe(expected, 1e-6);
                }

                if (isPadding) continue;
                mean += kl[15 + (row * 5) + position] / (double)_rows[row].Length;
                double[] before = Lens(clean[1], row, position), after = Lens(changed[1], row, position);
                agreement += (Array.IndexOf(before, before.Max()) == Array.IndexOf(after, after.Max()) ? 1.0 : 0) / _rows[row].Length;
            }

            lens.Result.Divergences[row].ShouldBe(mean, 1e-6);
            lens.Result.Agreements[row].ShouldBe(agreement, 1e-9);
        }

        lens.Result.Divergences[2].ShouldBe(0, 1e-9);
        lens.Result.Divergences[0].ShouldBeGreaterThan(0.01);

        // RMSNorm and unembedding, written out.
        double[] Lens(HostTensor residual, int row, int position)
        {
            double[] x = residual.Doubles()[(((row * 5) + position) * 12)..][..12];
            double scale = Math.Sqrt((x.Sum(value => value * value) / 12) + 1e-5);
            double[] exponents = [.. Enumerable.Range(0, 17).Select(token => Math.Exp(Enumerable.Range(0, 12).Sum(i => x[i] / scale * gain[i] * unembedding[(token * 12) + i])))];
            return [.. exponents.Select(exponent => exponent / exponents.Sum())];
        }
    }

    [Fact]
    public void Run_NormsAndThreshold_AreThoseOfTheVectors()
    {
        using Transformer model = FamilyConfigs.New("sparse");
        Intervention change = new(new ActivationSelector("hook_embed") { Rows = [0] }, new InterventionOperation.Add(HostTensor.FromFloats("", [0.3f])));
        ActivationSelector[] captures = [new("blocks.1.hook_resid_pre"), new("blocks.1.attn.hook_q")];
        Difference all = Run(model, captures, new DiffOptions { Parts = DeltaParts.Deltas | DeltaParts.Norms }, change);

        (List<HostTensor> clean, _) = Captured(model, captures);
        all.Tensors.Select(tensor => tensor.Name).ShouldBe(captures.SelectMany(capture => new[] { $"delta/{capture.Hook}", $"norm/{capture.Hook}", $"relative_norm/{capture.Hook}" }));
        for (int i = 0; i < 2; i++)
        {
            double[] delta = all.Tensors[3 * i].Doubles(), norms = all.Tensors[(3 * i) + 1].Doubles(), relative = all.Tensors[(3 * i) + 2].Doubles(), before = clean[i].Doubles();
            int width = delta.Length / norms.Length;
            for (int vector = 0; vector < norms.Length; vector++)
            {
                double norm = Math.Sqrt(delta[(vector * width)..][..width].Sum(x => x * x)), reference = Math.Sqrt(before[(vector * width)..][..width].Sum(x => x * x));
                norms[vector].ShouldBe(norm, 1e-6);
                relative[vector].ShouldBe(norm == 0 ? 0 : norm / reference, norm == 0 ? 0 : 1e-5 * Math.Max(1, norm / reference));
            }
        }

        float threshold = (float)all.Tensors[1].Doubles().Where(x => x > 0).Order().ElementAt(2);
        Difference large = Run(model, captures, new DiffOptions { MinNorm = threshold }, change);
        large.Tensors.Select(tensor => tensor.Name).ShouldBe(captures.Select(capture => $"delta/{capture.Hook}"));
        double[] whole = all.Tensors[0].Doubles(), cut = large.Tensors[0].Doubles(), norm1 = all.Tensors[1].Doubles();
        cut.ShouldBe([.. whole.Select((x, i) => norm1[i / 12] < threshold * (1 - 1e-6) ? 0 : x)]);
        cut.Count(x => x != 0).ShouldBeInRange(1, whole.Count(x => x != 0) - 1);
        Difference norms0 = Run(model, captures, new DiffOptions { Parts = DeltaParts.Norms }, change);
        norms0.Tensors.Count.ShouldBe(4);
    }

    [Fact]
    public void Run_WeightEdit_ChangesTheSecondRunOnly()
    {
        using Transformer model = FamilyConfigs.New("gpt2");
        WeightEdit edit = new("transformer.h.0.mlp.c_proj.bias") { Bias = HostTensor.FromFloats("", [.. Enumerable.Range(0, 12).Select(i => i / 4f)], 12), Tokens = new ActivationSelector("") { Positions = [0] } };
        ForwardPlan forward = ForwardPlan.Resolve(
            model.Hooks, new TokenBatch(model.Config, _rows), [new ActivationSelector("blocks.0.attn.hook_z"), new ActivationSelector("blocks.0.hook_mlp_out")], [], edits: [edit], parameters: model.Parameters);

        Difference difference = Run(model, new DiffPlan(forward, _everything, TensorDataType.Float64));

        difference["delta/blocks.0.attn.hook_z"].Doubles().ShouldAllBe(x => x == 0);
        double[] delta = difference["delta/blocks.0.hook_mlp_out"].Doubles();
        for (int i = 0; i < delta.Length; i++) delta[i].ShouldBe(i / 12 % 5 == 0 ? i % 12 / 4.0 : 0, 1e-9);
        difference.Result.EditFireCounts.ShouldBe([3]);
        difference.Result.Divergences.ShouldAllBe(value => value > 0);
    }

    [Fact]
    public void Run_LastLogits_AreThoseOfAllAtTheRowsEnds()
    {
        using Transformer model = FamilyConfigs.New("gemma3");
        Intervention change = new(new ActivationSelector("hook_embed"), new InterventionOperation.Scale(2));

        double[] all = Run(model, [], new DiffOptions { Logits = DiffLogits.All }, change).Tensors[0].Doubles();

        foreach (Divergence divergence in Enum.GetValues<Divergence>())
        {
            double[] last = Run(model, [], new DiffOptions { Logits = DiffLogits.Last, Divergence = divergence }, change).Tensors[0].Doubles();
            for (int row = 0; row < 3; row++)
            {
                for (int token = 0; token < 17; token++) last[(row * 17) + token].ShouldBe(all[(((row * 5) + _rows[row].Length - 1) * 17) + token], 1e-9);
            }
        }
    }

    [Fact]
    public void Run_ManyTimesAndCancelled_LeavesNoTensorAlive()
    {
        using Transformer model = FamilyConfigs.New("sparse", type: ScalarType.Float32);
        Intervention change = new(new ActivationSelector("blocks.0.hook_resid_post"), new InterventionOperation.Skip());
        ActivationSelector[] captures = [new("blocks.*.*")];
        Run(model, captures, _everything, change);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (int i = 0; i < 50; i++) Run(model, captures, _everything, change);
        Should.Throw<OperationCanceledException>(() => DiffPass.Run(model, Plan(model, captures, _everything, change), _ => { }, new CancellationToken(canceled: true)));

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }

    private static void ShouldBeDelta(HostTensor delta, HostTensor clean, HostTensor changed)
    {
        double[] actual = delta.Doubles(), before = clean.Doubles(), after = changed.Doubles();
        for (int i = 0; i < actual.Length; i++) actual[i].ShouldBe(before[i].Equals(after[i]) ? 0 : after[i] - before[i], 1e-9, delta.Name);
    }

    private static double[] Values(Tensor tensor) => [.. MemoryMarshal.Cast<byte, double>(tensor.ToHost("", TensorDataType.Float64).Data.Span)];

    private static DiffPlan Plan(Transformer model, ActivationSelector[] captures, DiffOptions options, params Intervention[] interventions) =>
        new(
            ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, _rows), captures, interventions),
            options,
            model.ScalarType == ScalarType.Float64 ? TensorDataType.Float64 : TensorDataType.Float32);

    private static Difference Run(Transformer model, ActivationSelector[] captures, DiffOptions options, params Intervention[] interventions) =>
        Run(model, Plan(model, captures, options, interventions));

    private static Difference Run(Transformer model, DiffPlan plan)
    {
        List<HostTensor> tensors = [];
        DiffResult result = DiffPass.Run(model, plan, tensors.Add, TestContext.Current.CancellationToken);
        tensors.Select(tensor => (tensor.Name, TensorShape.Format(tensor.Shape), tensor.DataType))
            .ShouldBe(plan.Tensors(model.Config).Select(tensor => (tensor.Name, TensorShape.Format([.. tensor.Shape]), tensor.DataType)));
        return new Difference(tensors, result);
    }

    private static (List<HostTensor> Tensors, HostTensor Logits) Captured(Transformer model, ActivationSelector[] captures, params Intervention[] interventions)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, _rows), captures, interventions);
        List<HostTensor> tensors = [];
        using InterventionTap changes = new(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
        CaptureTap taken = new(plan.Captures, TensorDataType.Float64, tensors.Add, plan.NeedsTwin);
        Tensor logits = model.Forward((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).ToTensor(CPU), new ForwardTap(changes, taken, CancellationToken.None));
        if (plan.NeedsTwin) logits = logits.narrow(0, 3, 3);
        for (int row = 0; row < 3; row++) logits[row].narrow(0, _rows[row].Length, 5 - _rows[row].Length).zero_();
        return (tensors, logits.ToHost("logits"));
    }

    private sealed record Difference(IReadOnlyList<HostTensor> Tensors, DiffResult Result)
    {
        public HostTensor this[string name] => Tensors.Single(tensor => tensor.Name == name);
    }
}
