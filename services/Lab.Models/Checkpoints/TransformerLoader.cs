using System.Text.RegularExpressions;
using static TorchSharp.torch;

namespace Lab.Models.Checkpoints;

/// <summary>Makes a model of a config and a checkpoint.</summary>
public static partial class TransformerLoader
{
    /// <summary>Loads a model. On the CPU, weights of the wanted type share the files' pages; others are one copy.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="checkpoint">The weights. May be disposed afterwards.</param>
    /// <param name="type">FP32, BF16 or FP64; null for FP32, whatever the files hold: results are then those of the stored weights.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="progress">Told the bytes of the checkpoint that were loaded so far.</param>
    /// <param name="ct">Checked before each tensor.</param>
    /// <exception cref="ArgumentException">The type is another.</exception>
    /// <exception cref="InvalidDataException">
    /// The checkpoint lacks a parameter, has one of another shape or type, or has one beside those of the config that the model's
    /// code would use. Names file, tensor and shapes.
    /// </exception>
    public static Transformer Load(
        TransformerConfig config, ICheckpoint checkpoint, ScalarType? type = null, Device? device = null, Action<long>? progress = null, CancellationToken ct = default)
    {
        string root = RootOf(config, checkpoint);
        ScalarType wanted = type ?? ScalarType.Float32;
        if (wanted is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float64)) throw new ArgumentException($"A model is FP32, BF16 or FP64, not {wanted}.", nameof(type));
        List<Tensor> loaded = [];
        bool isDone = false;
        long bytes = 0;
        try
        {
            TransformerWeights weights = new(config, (name, shape) =>
            {
                ct.ThrowIfCancellationRequested();
                CheckpointTensor found = Find(name, shape);
                loaded.Add(Contiguous(checkpoint.Load(found.Name, wanted, device)));
                progress?.Invoke(bytes += found.ByteCount);
                return loaded[^1];
            }, root);
            RequireNoneLeft(config, checkpoint, [.. weights.All.Select(parameter => parameter.Name)]);
            Transformer model = new(config, weights);
            isDone = true;
            return model;
        }
        finally
        {
            if (!isDone) foreach (Tensor tensor in loaded) tensor.Dispose();
        }

        CheckpointTensor Find(string name, long[] shape)
        {
            CheckpointTensor found = Named(checkpoint, name) ?? throw new InvalidDataException($"{checkpoint.Path} has no tensor {name}.");
            return found.Shape.SequenceEqual(shape) ? found : throw new InvalidDataException(
                $"{checkpoint.Path}: {name} has the shape [{string.Join(", ", found.Shape)}] where the config asks for [{string.Join(", ", shape)}].");
        }
    }

    /// <summary>The bytes that the model will have in memory.</summary>
    public static long SizeOf(TransformerConfig config, ICheckpoint checkpoint, ScalarType? type = null)
    {
        long elementSize = type switch
        {
            ScalarType.Float64 => 8,
            ScalarType.BFloat16 => 2,
            _ => 4,
        };
        return checkpoint.Tensors.Values.Where(tensor => !IsNoParameter(config, tensor.Name)).Sum(tensor => tensor.Shape.Aggregate(elementSize, (product, size) => product * size));
    }

    /// <summary>What stands before the keys: files differ in whether they keep the names of the modules around the decoder.</summary>
    private static string RootOf(TransformerConfig config, ICheckpoint checkpoint)
    {
        ParameterNames names = ParameterNames.Of(config.Family);
        string embedding = $"{names.Embed}.weight";
        string[] known = [names.Root, "", $"language_model.{names.Root}", "model.language_model."];
        return known.FirstOrDefault(root => checkpoint.Tensors.ContainsKey($"{root}{embedding}")) ?? names.Root;
    }

    /// <summary>A tensor by its key; the unembedding's key may have the prefix of a model of text and images.</summary>
    private static CheckpointTensor? Named(ICheckpoint checkpoint, string name) =>
        checkpoint.Tensors.GetValueOrDefault(name) ?? (name == Unembedding ? checkpoint.Tensors.GetValueOrDefault($"language_model.{name}") : null);

    private static Tensor Contiguous(Tensor tensor)
    {
        if (tensor.is_contiguous()) return tensor;
        using (tensor) return tensor.contiguous().DetachFromDisposeScope();
    }

    /// <summary>
    /// A tensor that the model's code would use and the config does not ask for would make a silently different model: a bias next to
    /// a matrix, for instance. Masks, rotary tables and towers for images are no such tensors.
    /// </summary>
    private static void RequireNoneLeft(TransformerConfig config, ICheckpoint checkpoint, HashSet<string> used)
    {
        HashSet<string> modules = [.. used.Select(ModuleOf)];
        foreach (string name in checkpoint.Tensors.Keys.Where(name => !used.Contains(name)).Order(StringComparer.Ordinal))
        {
            bool isOwn = modules.Contains(ModuleOf(name)) || modules.Any(module => ModuleOf(module) == ModuleOf(ModuleOf(name)) && ModuleOf(name).Length > 0);
            if (isOwn && !IsNoParameter(config, name)) throw new InvalidDataException($"{checkpoint.Path} has the tensor {name}, which a model of this config has not.");
        }
    }

    private static bool IsNoParameter(TransformerConfig config, string name) =>
        NoParameter.IsMatch(name) || (config.TiedUnembedding && name.EndsWith(Unembedding, StringComparison.Ordinal));

    private static string ModuleOf(string name) => name.LastIndexOf('.') is >= 0 and int dot ? name[..dot] : "";

    private const string Unembedding = $"{ParameterNames.Unembed}.weight";

    [GeneratedRegex(@"(^|\.)(attn\.bias|attn\.masked_bias|rotary_emb\.(inv_freq|cos_cached|sin_cached))$", RegexOptions.NonBacktracking)]
    private static partial Regex NoParameter { get; }
}
