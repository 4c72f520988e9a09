using Lab.Artifacts;
using Lab.Models.Interventions;
using Lab.Models.Interventions.Messages;
using Lab.Models.Tokenizers;
using Lab.Tensors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training.Interventions;

/// <summary>The rules of a TrainingConfig, with every tensor read.</summary>
/// <param name="Rules">In the order of the config.</param>
/// <param name="Artifacts">The digests of the artifacts whose tensors they have, by the field that names them.</param>
internal sealed record InterventionRules(IReadOnlyList<InterventionRule> Rules, IReadOnlyDictionary<string, string> Artifacts)
{
    /// <summary>Reads the rules of a config.</summary>
    /// <param name="store">Where their tensors are.</param>
    /// <param name="config">The config; not changed.</param>
    /// <param name="tokenizer">The corpus's.</param>
    /// <param name="ct">Cancels the reading.</param>
    /// <exception cref="ArgumentException">A rule is wrong. ParamName is the field's path, from "config.interventions[0]" on.</exception>
    /// <exception cref="Lab.ServiceDefaults.Errors.NotFoundException">An artifact, file or tensor is not there; metadata names the field.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt.</exception>
    public static async Task<InterventionRules> ReadAsync(ArtifactStore store, Proto.TrainingConfig config, ICorpusTokenizer tokenizer, CancellationToken ct)
    {
        StoredTensors tensors = new(store);
        List<InterventionRule> rules = [];
        for (int i = 0; i < config.Interventions.Count; i++)
            rules.Add(await ReadAsync(config.Interventions[i].Clone(), tensors, tokenizer, $"config.interventions[{i}]", ct));
        return new InterventionRules(rules, tensors.Digests);
    }

    private static async Task<InterventionRule> ReadAsync(Proto.TrainingIntervention rule, StoredTensors tensors, ICorpusTokenizer tokenizer, string field, CancellationToken ct)
    {
        if (rule.Intervention is null) throw new ArgumentException("is required", $"{field}.intervention");
        IReadOnlyList<HostTensor> vectors = rule.Vectors is null ? [] : await ReadVectorsAsync(rule, tensors, field, ct);
        await tensors.InlineAsync(rule.Intervention, $"{field}.intervention", ct);
        InterventionRule read = new(rule.Intervention.ToCore($"{field}.intervention"), rule.HasFraction ? rule.Fraction : 1)
        {
            FromTokenId = rule.HasFromTokenId ? rule.FromTokenId : null,
            UntilTokenId = rule.HasUntilTokenId ? rule.UntilTokenId : null,
            Vectors = vectors,
        };
        return rule.VectorOfWordAfter.Length == 0 ? read : WithWords(read, rule.VectorOfWordAfter, tokenizer, field);
    }

    /// <summary>The vectors to choose from; one of them is put into the operation, so that it can be read as any other.</summary>
    private static async Task<IReadOnlyList<HostTensor>> ReadVectorsAsync(Proto.TrainingIntervention rule, StoredTensors tensors, string field, CancellationToken ct)
    {
        List<HostTensor> vectors = [];
        for (int i = 0; i < rule.Vectors.Inline.Count; i++)
        {
            if (rule.Vectors.Inline[i].Name.Length == 0) throw new ArgumentException("is required: it tells the vectors apart", $"{field}.vectors.inline[{i}].name");
            vectors.Add(rule.Vectors.Inline[i].ToHost($"{field}.vectors.inline[{i}]"));
        }

        if (rule.Vectors.Artifact.Length > 0) vectors.AddRange(await tensors.ReadManyAsync(rule.Vectors.Artifact, rule.Vectors.File, rule.Vectors.Keys, $"{field}.vectors", ct));
        if (vectors.Count == 0) throw new ArgumentException("At least one vector is required, inline or in an artifact.", $"{field}.vectors");
        if (vectors.GroupBy(vector => vector.Name).FirstOrDefault(group => group.Count() > 1) is { } twice) throw new ArgumentException($"There are two vectors named '{twice.Key}'.", $"{field}.vectors");
        Protos.ModelHost.V1.Intervention intervention = rule.Intervention;
        Protos.Tensor.V1.Tensor first = new() { DataType = Protos.Tensor.V1.DataType.Fp32, Shape = { 1 }, Data = Google.Protobuf.ByteString.CopyFrom(0, 0, 0, 0) };
        switch (intervention.OperationCase)
        {
            case Protos.ModelHost.V1.Intervention.OperationOneofCase.Set when intervention.Set.Value is null:
                intervention.Set.Value = new Protos.ModelHost.V1.TensorSource { Inline = first };
                break;
            case Protos.ModelHost.V1.Intervention.OperationOneofCase.Add when intervention.Add.Value is null:
                intervention.Add.Value = new Protos.ModelHost.V1.TensorSource { Inline = first };
                break;
            default:
                throw new ArgumentException("Only set and add, without a value of their own, take their value from vectors.", $"{field}.vectors");
        }

        return vectors;
    }

    private static InterventionRule WithWords(InterventionRule rule, string phrase, ICorpusTokenizer tokenizer, string field)
    {
        string path = $"{field}.vector_of_word_after";
        if (tokenizer is not WordTokenizer words) throw new ArgumentException("needs a corpus in tokens of whole words, such as one of dialogues", path);
        if (rule.Vectors.Count == 0) throw new ArgumentException("needs vectors to choose from", $"{field}.vectors");
        List<int> tokens = [];
        words.EncodeTo(phrase, tokens);
        if (tokens.Count == 0 || tokens.Contains(WordTokenizer.Unknown)) throw new ArgumentException($"'{phrase}' has words that are not in the corpus's vocabulary", path);
        Dictionary<int, int> vectorOfToken = rule.Vectors
            .Select((vector, i) => (Id: words.IdOf(vector.Name), Index: i)).Where(one => one.Id is not null).ToDictionary(one => one.Id!.Value, one => one.Index);
        if (vectorOfToken.Count == 0) throw new ArgumentException("No vector has the name of a word of the corpus's vocabulary.", $"{field}.vectors");
        return rule with { Phrase = tokens, VectorOfToken = vectorOfToken };
    }
}
