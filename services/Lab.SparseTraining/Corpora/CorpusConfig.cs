using Lab.Models.Tokenizers;

namespace Lab.SparseTraining.Corpora;

/// <summary>What a corpus is made from.</summary>
internal sealed record CorpusConfig
{
    public const int DefaultVocabSize = 1024;
    public const double DefaultHeldOutFraction = 0.05;

    /// <summary>Where the text comes from.</summary>
    public required CorpusSource Source { get; init; }

    /// <summary>Tokens in the vocabulary, from 257 to 65536, special tokens included; of words at most so many.</summary>
    public int VocabSize { get; init; } = DefaultVocabSize;

    /// <summary>The fraction of documents held out, above 0 and at most 0.5.</summary>
    public double HeldOutFraction { get; init; } = DefaultHeldOutFraction;

    /// <summary>Decides the order of documents, the split, and the text of generated programs.</summary>
    public long Seed { get; init; }

    /// <summary>The most bytes of text, or of dialogues as JSON, to take; 0 for no limit.</summary>
    public long MaxBytes { get; init; }

    /// <summary>Checks what does not depend on the machine.</summary>
    /// <exception cref="ArgumentException">A value is out of range; the parameter name is the field's path in a request.</exception>
    public void Validate()
    {
        Require(VocabSize is >= BpeTrainer.MinVocabSize and <= BpeTrainer.MaxVocabSize, "config.vocab_size",
            $"A vocabulary has {BpeTrainer.MinVocabSize} to {BpeTrainer.MaxVocabSize} tokens, not {VocabSize}.");
        Require(HeldOutFraction is > 0 and <= 0.5, "config.held_out_fraction", $"The fraction held out is above 0 and at most 0.5, not {HeldOutFraction}.");
        Require(MaxBytes >= 0, "config.max_bytes", $"The limit of bytes is 0 (none) or more, not {MaxBytes}.");
        Source.Validate();
    }

    internal static void Require(bool condition, string field, string message)
    {
        if (!condition) throw new ArgumentException(message, field);
    }
}
