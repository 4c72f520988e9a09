using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.SparseTraining.Training.Interventions;

/// <summary>An intervention on some of the sequences that a model is trained on; see TrainingIntervention in training_intervention.proto.</summary>
/// <param name="Intervention">What is done, and where. With <see cref="Vectors"/> its value is any one of them.</param>
/// <param name="Fraction">The share of sequences, from 0 to 1.</param>
internal sealed record InterventionRule(Intervention Intervention, double Fraction = 1)
{
    /// <summary>The token that a stretch begins with; null for the sequence's first.</summary>
    public int? FromTokenId { get; init; }

    /// <summary>The token that a stretch ends with; null for the sequence's last.</summary>
    public int? UntilTokenId { get; init; }

    /// <summary>Named vectors to choose from; none for the operation's own value.</summary>
    public IReadOnlyList<HostTensor> Vectors { get; init; } = [];

    /// <summary>The tokens before the word that chooses the vector; none where it is drawn.</summary>
    public IReadOnlyList<int> Phrase { get; init; } = [];

    /// <summary>For each token that is the name of a vector the vector's place in <see cref="Vectors"/>.</summary>
    public IReadOnlyDictionary<int, int> VectorOfToken { get; init; } = new Dictionary<int, int>();

    /// <summary>Whether it changes nothing by its strength, wherever it applies.</summary>
    public bool IsIdle => Fraction == 0 || Intervention.Operation is InterventionOperation.Add { Coefficient: 0 } or InterventionOperation.Scale { Factor: 1 };

    /// <summary>The operation with a vector in the place of its value.</summary>
    /// <param name="vector">The vector's place; null for the operation's own value.</param>
    public InterventionOperation OperationWith(int? vector) => (vector, Intervention.Operation) switch
    {
        (null, InterventionOperation own) => own,
        (int chosen, InterventionOperation.Set set) => set with { Value = Vectors[chosen] },
        (int chosen, InterventionOperation.Add add) => add with { Value = Vectors[chosen] },
        _ => throw new InvalidOperationException($"{Intervention.Operation} takes no vector."),
    };
}
