using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.BridgeAlignment.Runs;

/// <summary>The defaults and ranges of an <see cref="AlignmentConfig"/>.</summary>
internal static class AlignmentDefaults
{
    /// <summary>A copy with the defaults filled in; that of <c>sequence_length</c> depends on the models and stays 0.</summary>
    /// <exception cref="InvalidRequestException">Fields are missing or out of range.</exception>
    public static AlignmentConfig Fill(AlignmentConfig? config)
    {
        if (config is null) throw new InvalidRequestException("config", "is required.");
        AlignmentConfig c = config.Clone();
        if (c.Steps == 0) c.Steps = 300;
        if (c.BatchSize == 0) c.BatchSize = 16;
        if (c.LearningRate == 0) c.LearningRate = 3e-3;
        if (!c.HasEncoderActivationFraction) c.EncoderActivationFraction = 0.25;
        if (c.EvaluationSequences == 0) c.EvaluationSequences = 32;
        Validate(c);
        return c;
    }

    private static void Validate(AlignmentConfig c)
    {
        List<FieldViolation> violations = [];
        void Require(bool holds, string field, string description)
        {
            if (!holds) violations.Add(new FieldViolation($"config.{field}", description));
        }

        Require(c.DenseModel.Length > 0, "dense_model", "is required.");
        Require(c.SparseModel.Length > 0, "sparse_model", "is required.");
        Require(c.Corpus.Length > 0, "corpus", "is required.");
        Require(c.Steps is >= 1 and <= 10_000_000, "steps", $"must be from 1 to 10000000, or 0 for 300; it is {c.Steps}.");
        Require(c.BatchSize is >= 1 and <= 4096, "batch_size", $"must be from 1 to 4096, or 0 for 16; it is {c.BatchSize}.");
        Require(c.LearningRate is > 0 and <= 10, "learning_rate", $"must be above 0 and at most 10, or 0 for 0.003; it is {c.LearningRate}.");
        Require(c.EncoderActivationFraction is > 0 and <= 1, "encoder_activation_fraction", $"must be above 0 and at most 1; it is {c.EncoderActivationFraction}.");
        Require(c.EvaluationSequences is >= 1 and <= 100_000, "evaluation_sequences", $"must be from 1 to 100000, or 0 for 32; it is {c.EvaluationSequences}.");
        Require(c.SequenceLength is 0 or >= 2, "sequence_length", $"must be at least 2, or 0 for the default; it is {c.SequenceLength}.");
        if (violations.Count > 0) throw new InvalidRequestException([.. violations]);
    }
}
