using Lab.SparseTraining.Corpora.Dialogues;
using Lab.SparseTraining.Corpora.Idioms;

namespace Lab.SparseTraining.Corpora;

/// <summary>Where text comes from.</summary>
/// <param name="Field">The field of the request that says so, such as "config.folder", for errors.</param>
internal abstract record CorpusSource(string Field)
{
    /// <summary>Checks what does not depend on the machine.</summary>
    /// <exception cref="ArgumentException">A value is out of range; the parameter name is the field's path.</exception>
    public abstract void Validate();

    /// <summary>What its documents are.</summary>
    public virtual IDocumentFormat Format { get; } = new TextFormat();
}

/// <summary>A folder of files.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Patterns">Globs relative to it; none means "**/*.py".</param>
/// <param name="Exclude">Globs of files that are left out.</param>
internal sealed record FolderSource(string Path, IReadOnlyList<string> Patterns, IReadOnlyList<string> Exclude, string Field = "config.folder") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override void Validate()
    {
        CorpusConfig.Require(Directory.Exists(Path), $"{Field}.path", $"There is no folder '{Path}' on the service's machine.");
        foreach (string pattern in Patterns) _ = new GlobPattern(pattern, $"{Field}.patterns");
        foreach (string pattern in Exclude) _ = new GlobPattern(pattern, $"{Field}.exclude");
    }
}

/// <summary>The Python standard library of this machine, or generated programs where there is none.</summary>
internal sealed record PythonStandardLibrarySource(string Field = "config.python_standard_library") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override void Validate()
    {
    }
}

/// <summary>Generated Python programs.</summary>
/// <param name="Bytes">About how many bytes; 0 means 8 MiB.</param>
internal sealed record GeneratedSource(long Bytes, string Field = "config.generated") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override void Validate() => CorpusConfig.Require(Bytes >= 0, $"{Field}.bytes", "The number of bytes to generate is 0 (the default) or more.");
}

/// <summary>Generated programs of idioms.</summary>
/// <param name="Bytes">About how many bytes; 0 means 8 MiB.</param>
/// <param name="Weights">How often each idiom is drawn, by the task's name; 1 for the others.</param>
internal sealed record IdiomSource(long Bytes, IReadOnlyDictionary<string, double> Weights, string Field = "config.idioms") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override void Validate()
    {
        CorpusConfig.Require(Bytes >= 0, $"{Field}.bytes", "The number of bytes to generate is 0 (the default) or more.");
        _ = ReadWeights();
    }

    /// <summary>The weights, checked.</summary>
    public IdiomWeights ReadWeights() => new(Weights, $"{Field}.idiom_weights");
}

/// <summary>Several sources together.</summary>
/// <param name="Parts">At least one.</param>
internal sealed record MixSource(IReadOnlyList<MixPart> Parts, string Field = "config.mix") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override void Validate()
    {
        CorpusConfig.Require(Parts.Count > 0, $"{Field}.parts", "A mix has at least one part.");
        for (int i = 0; i < Parts.Count; i++)
        {
            double weight = Parts[i].Weight;
            CorpusConfig.Require(double.IsFinite(weight) && weight > 0, $"{Field}.parts[{i}].weight", $"The weight of a part is above 0, not {weight}.");
            Parts[i].Source.Validate();
        }
    }
}

/// <summary>A part of a mix.</summary>
/// <param name="Source">Where its text comes from.</param>
/// <param name="Weight">Its share of the bytes, relative to the other parts.</param>
internal sealed record MixPart(CorpusSource Source, double Weight);

/// <summary>Dialogues of user and assistant.</summary>
/// <param name="Files">Where JSON-lines files lie; null for generated dialogues.</param>
/// <param name="Bytes">About how many bytes to generate; 0 means 1 MiB.</param>
/// <param name="NoticedFraction">From 0 to 1: how many questions after injected thoughts generated dialogues answer with yes.</param>
internal sealed record DialogueSource(FolderSource? Files, long Bytes, double NoticedFraction, string Field = "config.dialogue") : CorpusSource(Field)
{
    /// <inheritdoc/>
    public override IDocumentFormat Format { get; } = new DialogueFormat();

    /// <inheritdoc/>
    public override void Validate()
    {
        CorpusConfig.Require(Bytes >= 0, $"{Field}.bytes", "The number of bytes to generate is 0 (the default) or more.");
        CorpusConfig.Require(NoticedFraction is >= 0 and <= 1, $"{Field}.noticed_fraction", $"The fraction is from 0 to 1, not {NoticedFraction}.");
        CorpusConfig.Require(Files is null || Bytes == 0, $"{Field}.bytes", "Only generated dialogues have a number of bytes; these are read from a folder.");
        CorpusConfig.Require(Files is null || NoticedFraction == 0, $"{Field}.noticed_fraction", "Only generated dialogues have noticed thoughts; these are read from a folder.");
        Files?.Validate();
    }
}
