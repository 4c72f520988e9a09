using Lab.Models;
using Lab.Tensors.Kernels;

namespace Lab.SparseTraining.Training;

/// <summary>The law that a sparse matrix must have room for the least nonzeros of each of its neurons.</summary>
internal static class NeuronFloor
{
    /// <summary>Checks all block matrices of an architecture, before there are any weights.</summary>
    /// <exception cref="ArgumentException">One keeps too few entries. ParamName is the field.</exception>
    public static void Require(TransformerConfig config, TrainingRecipe recipe)
    {
        long width = (long)config.NHeads * config.DHead;
        Require("attn.c_attn.weight", 3 * width, config.DRead, NeuronAxis.Rows, recipe.WeightFraction, recipe);
        Require("attn.c_proj.weight", config.DModel, width, NeuronAxis.Columns, recipe.WeightFraction, recipe);
        Require("mlp.c_fc.weight", config.DMlp, config.DRead, NeuronAxis.Rows, recipe.WeightFraction, recipe);
        Require("mlp.c_proj.weight", config.DModel, config.DMlp, NeuronAxis.Columns, recipe.WeightFraction, recipe);
    }

    /// <summary>Checks a matrix.</summary>
    /// <param name="name">Its name, for the message.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="axis">Which of them are neurons.</param>
    /// <param name="target">The fraction of entries that stay.</param>
    /// <param name="recipe">Says how many each neuron keeps.</param>
    /// <exception cref="ArgumentException">It keeps too few entries. ParamName is the field.</exception>
    public static void Require(string name, long rows, long columns, NeuronAxis axis, double target, TrainingRecipe recipe)
    {
        if (target >= 1 || axis == NeuronAxis.None) return;
        long neurons = axis == NeuronAxis.Rows ? rows : columns, kept = (long)(target * rows * columns);
        if (kept >= neurons * recipe.MinNonzeroPerNeuron) return;
        throw new ArgumentException(
            $"{name} keeps {kept} entries at this fraction, fewer than the {recipe.MinNonzeroPerNeuron} for each of its {neurons} neurons.",
            "config.recipe.weight_fraction");
    }
}
