using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>An objective whose rows, positions and tokens are checked for one batch.</summary>
internal abstract class ResolvedObjective
{
    /// <summary>The tokens whose logits it reads, as indices into the batch flattened to [rows x pos]; ascending.</summary>
    public virtual IReadOnlyList<long> Tokens => [];

    /// <summary>Whether it reads the logits of the clean run too.</summary>
    public virtual bool NeedsClean => false;

    /// <summary>Where activations are multiplied by given gradients.</summary>
    public virtual IReadOnlyList<(ResolvedSelection Selection, HostTensor Gradient)> Upstream => [];

    /// <summary>The rows' values, without those of <see cref="Upstream"/>.</summary>
    /// <param name="logits">Logits of the tokens [tokens, d_vocab], FP32 or FP64.</param>
    /// <param name="clean">Those of the clean run, if they are needed.</param>
    /// <returns>[rows].</returns>
    public abstract Tensor Values(Tensor logits, Tensor? clean);

    /// <inheritdoc cref="GradientObjective.CrossEntropy"/>
    public sealed class CrossEntropy(ObjectivePlaces places, IReadOnlyList<int> targets) : ResolvedObjective
    {
        public override IReadOnlyList<long> Tokens => places.Tokens;

        public override Tensor Values(Tensor logits, Tensor? clean)
        {
            Tensor wanted = tensor([.. targets.Select(target => (long)target)], device: logits.device).unsqueeze(1);
            return places.ByRow(-places.AtPlaces(logits.log_softmax(-1)).gather(1, wanted).squeeze(1));
        }
    }

    /// <inheritdoc cref="GradientObjective.LogitDifference"/>
    public sealed class LogitDifference(ObjectivePlaces places, IReadOnlyList<(int A, int? B)> pairs) : ResolvedObjective
    {
        public override IReadOnlyList<long> Tokens => places.Tokens;

        public override Tensor Values(Tensor logits, Tensor? clean)
        {
            Tensor all = places.AtPlaces(logits);
            Tensor Of(IEnumerable<int> tokens) => all.gather(1, tensor([.. tokens.Select(token => (long)token)], device: all.device).unsqueeze(1)).squeeze(1);
            Tensor counts = tensor([.. pairs.Select(pair => pair.B is null ? 0.0 : 1.0)], dtype: all.dtype, device: all.device);
            return places.ByRow(Of(pairs.Select(pair => pair.A)) - (Of(pairs.Select(pair => pair.B ?? 0)) * counts));
        }
    }

    /// <inheritdoc cref="GradientObjective.KlToClean"/>
    public sealed class KlToClean(ObjectivePlaces places) : ResolvedObjective
    {
        public override IReadOnlyList<long> Tokens => places.Tokens;

        public override bool NeedsClean => true;

        public override Tensor Values(Tensor logits, Tensor? clean)
        {
            Tensor reference = clean!.log_softmax(-1);
            Tensor divergence = (reference.exp() * (reference - logits.log_softmax(-1))).sum(-1);      // (N)
            return places.ByRow(places.AtPlaces(divergence));
        }
    }

    /// <inheritdoc cref="GradientObjective.Upstream"/>
    public sealed class Inner(IReadOnlyList<(ResolvedSelection Selection, HostTensor Gradient)> gradients) : ResolvedObjective
    {
        public override IReadOnlyList<(ResolvedSelection Selection, HostTensor Gradient)> Upstream => gradients;

        public override Tensor Values(Tensor logits, Tensor? clean) => throw new InvalidOperationException("The values are those of the activations.");
    }
}
