using Lab.Models;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Turns a ModelConfig into the architecture, filling in the defaults that the proto states.</summary>
internal static class ModelMapping
{
    private const double LayerNormEpsilon = 1e-5;

    private static readonly Dictionary<Proto.ActivationSite, AbsTopKSites> Sites = new()
    {
        [Proto.ActivationSite.AttnIn] = AbsTopKSites.AttnIn,
        [Proto.ActivationSite.AttnQ] = AbsTopKSites.AttnQ,
        [Proto.ActivationSite.AttnK] = AbsTopKSites.AttnK,
        [Proto.ActivationSite.AttnV] = AbsTopKSites.AttnV,
        [Proto.ActivationSite.AttnOut] = AbsTopKSites.AttnOut,
        [Proto.ActivationSite.MlpIn] = AbsTopKSites.MlpIn,
        [Proto.ActivationSite.MlpNeuron] = AbsTopKSites.MlpNeuron,
        [Proto.ActivationSite.MlpOut] = AbsTopKSites.MlpOut,
        [Proto.ActivationSite.ResidPostAttn] = AbsTopKSites.ResidPostAttn,
        [Proto.ActivationSite.ResidPostMlp] = AbsTopKSites.ResidPostMlp,
    };

    /// <summary>The architecture, for a vocabulary of the given size.</summary>
    public static TransformerConfig ToTransformerConfig(Proto.ModelConfig? model, int vocabSize)
    {
        model ??= new Proto.ModelConfig();
        int dModel = DModel(model), dHead = DHead(model);
        bool hasBias = !model.HasBias || model.Bias, isLayerNorm = model.Norm == Proto.NormKind.Layer;
        return new TransformerConfig
        {
            NLayers = Or(model.NLayers, 2),
            DModel = dModel,
            DHead = dHead,
            NHeads = dModel / dHead,
            DMlp = DMlp(model),
            NCtx = Or(model.NCtx, 128),
            DVocab = vocabSize,
            Norm = isLayerNorm ? NormKind.Layer : NormKind.Rms,
            NormBias = model.NormBias,
            NormEpsilon = isLayerNorm ? LayerNormEpsilon : TransformerConfig.MachineEpsilon,
            AttentionBias = hasBias,
            AttentionOutBias = hasBias,
            MlpBias = hasBias,
            Activation = model.Activation == Proto.ActivationKind.Relu ? ActivationFunction.Relu : ActivationFunction.Gelu,
            ResidualRelu = model.ResidualRelu,
            TiedUnembedding = model.TiedUnembedding,
            ActivationFraction = Fraction(model),
            ActivationSites = model.ActivationSites.Aggregate(AbsTopKSites.None, (sites, site) => sites | Sites[site]) is var sites && sites == AbsTopKSites.None ? AbsTopKSites.All : sites,
            AttentionSink = model.AttentionSink,
            BigramTable = model.Bigram != Proto.BigramKind.None,
            LearnedBigramTable = model.Bigram != Proto.BigramKind.Counts,
            Positions = model.Positions switch
            {
                Proto.PositionKind.Learned => PositionKind.Learned,
                _ => IsConcatenated(model) ? PositionKind.Concatenated : PositionKind.None,
            },
            DPos = IsConcatenated(model) ? Or(model.DPosEmb, 32) : 0,
            SinusoidalPositions = model.Positions == Proto.PositionKind.Sinusoidal,
        };
    }

    /// <summary>Checks every field.</summary>
    /// <param name="model">The architecture.</param>
    /// <param name="require">Is told what must hold, the field below config, and what is wrong if it does not.</param>
    public static void Check(Proto.ModelConfig model, Action<bool, string, string> require)
    {
        int dModel = DModel(model), dHead = DHead(model);
        require(model.NLayers is >= 0 and <= 64, "model.n_layers", $"must be from 1 to 64, not {model.NLayers}");
        require(dModel is > 0 and <= 8192, "model.d_model", $"must be from 1 to 8192, not {dModel}");
        require(dHead is > 0 and <= 8192, "model.d_head", $"must be from 1 to 8192, not {dHead}");
        require(dHead <= 0 || dModel <= 0 || dModel % dHead == 0, "model.d_head", $"{dHead} does not divide d_model, {dModel}");
        require(model.DMlp is >= 0 and <= 65536, "model.d_mlp", $"must be from 1 to 65536, not {model.DMlp}");
        require(model.NCtx is >= 0 and <= 8192, "model.n_ctx", $"must be from 1 to 8192, not {model.NCtx}");
        require(model.DPosEmb is >= 0 and <= 8192, "model.d_pos_emb", $"must be from 1 to 8192, not {model.DPosEmb}");
        require(model.DPosEmb == 0 || IsConcatenated(model), "model.d_pos_emb", "is only for concatenated positions");
        require(!model.NormBias || model.Norm == Proto.NormKind.Layer, "model.norm_bias", "is only for LayerNorm");
        RequireDefined(model.Bigram, "model.bigram");
        RequireDefined(model.Positions, "model.positions");
        RequireDefined(model.Activation, "model.activation");
        RequireDefined(model.Norm, "model.norm");

        double fraction = Fraction(model);
        bool isFraction = fraction is > 0 and <= 1;
        require(isFraction, "model.activation_fraction", $"must be above 0 and at most 1, not {fraction}");
        int smallest = Math.Min(dModel, DMlp(model));
        require(!isFraction || smallest <= 0 || (int)(fraction * smallest) > 0, "model.activation_fraction", $"keeps none of {smallest} channels; it is {fraction}");
        require(model.ActivationSites.Count == 0 || fraction < 1, "model.activation_sites", "needs an activation_fraction below 1");
        for (int i = 0; i < model.ActivationSites.Count; i++)
        {
            Proto.ActivationSite site = model.ActivationSites[i];
            require(Sites.ContainsKey(site), $"model.activation_sites[{i}]", $"must be a site, not {site}");
            require(model.ActivationSites.IndexOf(site) == i, $"model.activation_sites[{i}]", $"repeats {site}");
        }

        void RequireDefined<T>(T value, string field)
            where T : struct, Enum => require(Enum.IsDefined(value), field, $"has no value {value}");
    }

    private static bool IsConcatenated(Proto.ModelConfig model) => model.Positions is Proto.PositionKind.Concatenated or Proto.PositionKind.Sinusoidal;

    private static double Fraction(Proto.ModelConfig model) => model.HasActivationFraction ? model.ActivationFraction : 0.25;

    private static int DModel(Proto.ModelConfig model) => Or(model.DModel, 128);

    private static int DHead(Proto.ModelConfig model) => Or(model.DHead, 16);

    private static int DMlp(Proto.ModelConfig model) => Or(model.DMlp, 4 * DModel(model));

    private static int Or(int value, int fallback) => value == 0 ? fallback : value;
}
