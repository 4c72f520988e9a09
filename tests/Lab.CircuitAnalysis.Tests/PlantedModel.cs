using Lab.CircuitAnalysis.Pruning;
using Lab.Models;
using static TorchSharp.torch;

namespace Lab.CircuitAnalysis.Tests;

/// <summary>
/// A one-layer model that closes quotes by a circuit made by hand: head 0 looks for the opener, its value channel 0 carries the
/// opener's type to residual channel 4, which the unembedding reads. Everything else in it is decoy: a second head and MLP
/// neurons that move noise about.
/// </summary>
internal static class PlantedModel
{
    public const int Single = 0, Double = 1, CloseSingle = 2, CloseDouble = 3, FirstWord = 4, Vocabulary = 16;

    private const int Type = 0, Constant = 1, IsOpener = 2, Noise = 3, Result = 4, Waste = 5, Width = 8;

    public static readonly TransformerConfig Config = new()
    {
        NLayers = 1,
        DModel = Width,
        NHeads = 2,
        DHead = 2,
        DMlp = 6,
        DVocab = Vocabulary,
        NCtx = 16,
    };

    /// <summary>The nodes that do the task; attention's query is constant and may stay at its mean.</summary>
    public static readonly string[] Circuit =
    [
        $"blocks.0.attn.hook_read:{Type}", $"blocks.0.attn.hook_read:{IsOpener}", "blocks.0.attn.hook_k:0", "blocks.0.attn.hook_v:0", $"blocks.0.hook_attn_out:{Result}",
    ];

    public static Transformer Create() => new(Config, new TransformerWeights(Config, (name, shape) =>
    {
        using var scope = NewDisposeScope();
        Tensor weight = name.Contains(".ln_", StringComparison.Ordinal) ? ones(shape) : zeros(shape);
        void Set(long row, long column, float value) => weight[row, column] = tensor(value);
        switch (name)
        {
            case "transformer.wte.weight":
                for (int token = 0; token < Vocabulary; token++)
                {
                    Set(token, Constant, 1);
                    if (token >= FirstWord) Set(token, Noise, token % 2 == 0 ? 0.5f : -0.5f);
                }

                Set(Single, Type, 1);
                Set(Double, Type, -1);
                Set(Single, IsOpener, 1);
                Set(Double, IsOpener, 1);
                break;
            case "transformer.h.0.attn.c_attn.weight": // rows: q of head 0 (2), of head 1 (2), then k, then v
                Set(0, Constant, 3);
                Set(2, Noise, 1);
                Set(4, IsOpener, 3);
                Set(7, Noise, 1);
                Set(8, Type, 2);
                Set(10, Noise, 1);
                break;
            case "transformer.h.0.attn.c_proj.weight":
                Set(Result, 0, 1);
                Set(Waste, 2, 0.3f);
                break;
            case "transformer.h.0.mlp.c_fc.weight":
                for (int neuron = 0; neuron < Config.DMlp; neuron++) Set(neuron, Noise, neuron % 2 == 0 ? 1 : -1);
                break;
            case "transformer.h.0.mlp.c_proj.weight":
                for (int neuron = 0; neuron < Config.DMlp; neuron++) Set(Waste + neuron % 2, neuron, 0.2f);
                break;
            case "lm_head.weight":
                Set(CloseSingle, Result, 0.8f);
                Set(CloseDouble, Result, -0.8f);
                break;
        }

        return weight.MoveToOuterDisposeScope();
    }));

    /// <summary>An opener, then some words; the last word decides nothing.</summary>
    public static TaskPrompts Prompts(int training = 64, int heldOut = 32)
    {
        Random random = new(7);
        TaskPrompt Prompt(int opener, int answer, int alternative) =>
            new([.. Words(random.Next(0, 4)), opener, .. Words(random.Next(7, 13))], answer, alternative);
        IEnumerable<int> Words(int count) => Enumerable.Range(0, count).Select(_ => random.Next(FirstWord, Vocabulary)).ToArray();
        TaskPair[] Pairs(int count) =>
            [.. Enumerable.Range(0, count).Select(_ => new TaskPair(Prompt(Single, CloseSingle, CloseDouble), Prompt(Double, CloseDouble, CloseSingle)))];
        return new TaskPrompts(Pairs(training), Pairs(heldOut), Pairs(heldOut));
    }

    /// <summary>The nodes' means over rows of random tokens.</summary>
    public static float[] Means(Transformer model)
    {
        using var scope = NewDisposeScope();
        using Generator generator = new(5);
        NodeLayout layout = new(model.Hooks);
        MeanTap tap = new(layout);
        model.Forward(randint(0, Vocabulary, [64, Config.NCtx], dtype: ScalarType.Int64, generator: generator), tap).Dispose();
        return tap.Means;
    }

    private sealed class MeanTap(NodeLayout layout) : IActivationTap
    {
        public float[] Means { get; } = new float[layout.Count];

        public bool Wants(HookPoint hook) => layout.At(hook) is not null;

        public Tensor At(HookPoint hook, Tensor x)
        {
            NodeSite site = layout.At(hook)!;
            x.flatten(0, 1).mean([0]).flatten().data<float>().ToArray().CopyTo(Means, site.First);
            return x;
        }
    }
}
