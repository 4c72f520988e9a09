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
            Proto.CorpusConfig.SourceOneofCase.Folder => new FolderSource(config.Folder.Path, [.. config.Folder.Patterns]),
            Proto.CorpusConfig.SourceOneofCase.Generated => new GeneratedSource(config.Generated.Bytes),
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
            throw new InvalidRequestException("config.source", "one of folder, python_standard_library and generated is required");
        }

        if (config.SourceCase == Proto.CorpusConfig.SourceOneofCase.Folder && !Directory.Exists(config.Folder.Path))
        {
            throw new InvalidRequestException("config.folder.path", $"there is no folder '{config.Folder.Path}' on the service's machine");
        }

        ToCore(config).Validate();
    }
}
