using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

public sealed class NoiseRowTests
{
    [Fact]
    public void Noise_OfAPartOfALongerBatch_IsThatOfTheWhole()
    {
        using SmallModel model = new();
        Intervention noise = SmallModel.At("hook_embed", new InterventionOperation.Noise(1, 9));
        HostTensor whole = Embed(model, new TokenBatch(SmallModel.Config, [[1, 2, 3], [4, 5, 6]]), noise);
        HostTensor part = Embed(model, new TokenBatch(SmallModel.Config, [[4, 5, 6]]) { FirstRow = 1 }, noise);
        HostTensor other = Embed(model, new TokenBatch(SmallModel.Config, [[4, 5, 6]]), noise);
        part.Floats.ToArray().ShouldBe(whole.Floats[(int)part.ElementCount..].ToArray());
        other.Floats.ToArray().ShouldNotBe(part.Floats.ToArray());
    }

    private static HostTensor Embed(SmallModel model, TokenBatch batch, Intervention intervention)
    {
        ForwardPlan plan = ForwardPlan.Resolve(model.Transformer.Hooks, batch, [new ActivationSelector("hook_embed")], [intervention]);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using InterventionTap changes = new(plan.Interventions, batch.Lengths);
        CaptureTap captures = new(plan.Captures);
        model.Transformer.Forward(batch.ToTensor(model.Transformer.Device), new ForwardTap(changes, captures, TestContext.Current.CancellationToken));
        return captures.Tensors.Single();
    }
}
