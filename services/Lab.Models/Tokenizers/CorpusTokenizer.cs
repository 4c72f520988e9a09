namespace Lab.Models.Tokenizers;

/// <summary>Reads the tokenizer that lies with a corpus or a model of this lab.</summary>
public static class CorpusTokenizer
{
    /// <summary>Reads words.json if it is there, else vocab.json and merges.txt.</summary>
    /// <param name="has">Whether there is a file of a name.</param>
    /// <param name="path">The path of a file of a name.</param>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it.</exception>
    public static ICorpusTokenizer Load(Func<string, bool> has, Func<string, string> path)
    {
        ArgumentNullException.ThrowIfNull(has);
        ArgumentNullException.ThrowIfNull(path);
        return has(WordTokenizer.FileName) ? WordTokenizer.Load(path(WordTokenizer.FileName)) : LabTokenizer.Load(path(TokenizerFiles.VocabFile), path(TokenizerFiles.MergesFile));
    }
}
