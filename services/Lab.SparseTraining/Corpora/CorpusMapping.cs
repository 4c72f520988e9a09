using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Corpora;

/// <summary>Turns a CorpusConfig message into the core's record, filling in the defaults that the proto states.</summary>
internal static class CorpusMapping
{
    public static CorpusConfig ToCore(Proto.CorpusConfig config) => new()
    {
        Source = config.SourceCase switch
        {
            Proto.CorpusConfig.SourceOneofCase.Folder => Folder(config.Folder, "config"),
            Proto.CorpusConfig.SourceOneofCase.Generated => new GeneratedSource(config.Generated.Bytes),
            Proto.CorpusConfig.SourceOneofCase.Idioms => Idioms(config.Idioms, "config"),
            Proto.CorpusConfig.SourceOneofCase.Dialogue => new DialogueSource(
                config.Dialogue.Folder is { } files ? Folder(files, "config.dialogue") : null, config.Dialogue.Bytes, config.Dialogue.NoticedFraction),
            Proto.CorpusConfig.SourceOneofCase.Mix => new MixSource([.. config.Mix.Parts.Select((part, i) => Part(part, $"config.mix.parts[{i}]"))]),
            _ => new PythonStandardLibrarySource(),
        },
        VocabSize = config.VocabSize == 0 ? CorpusConfig.DefaultVocabSize : config.VocabSize,
        HeldOutFraction = config.HasHeldOutFraction ? config.HeldOutFraction : CorpusConfig.DefaultHeldOutFraction,
        Seed = config.Seed,
        MaxBytes = config.MaxBytes,
    };

    /// <summary>Checks what can be checked at once; whether the folder holds text shows in the run.</summary>
    /// <exception cref="InvalidRequestException">A source is missing.</exception>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static void Validate(Proto.CorpusConfig? config)
    {
        if (config is null || config.SourceCase == Proto.CorpusConfig.SourceOneofCase.None)
        {
            throw new InvalidRequestException("config.source", "one of folder, python_standard_library, generated, idioms, mix and dialogue is required");
        }

        ToCore(config).Validate();
    }

    private static FolderSource Folder(Proto.FolderSource source, string field) => new(source.Path, [.. source.Patterns], [.. source.Exclude], $"{field}.folder");

    private static IdiomSource Idioms(Proto.IdiomSource source, string field) => new(source.Bytes, source.IdiomWeights.ToDictionary(), $"{field}.idioms");

    private static MixPart Part(Proto.MixPart part, string field) => new(
        part.SourceCase switch
        {
            Proto.MixPart.SourceOneofCase.Folder => Folder(part.Folder, field),
            Proto.MixPart.SourceOneofCase.PythonStandardLibrary => new PythonStandardLibrarySource($"{field}.python_standard_library"),
            Proto.MixPart.SourceOneofCase.Generated => new GeneratedSource(part.Generated.Bytes, $"{field}.generated"),
            Proto.MixPart.SourceOneofCase.Idioms => Idioms(part.Idioms, field),
            _ => throw new InvalidRequestException($"{field}.source", "one of folder, python_standard_library, generated and idioms is required"),
        },
        part.HasWeight ? part.Weight : 1);
}
