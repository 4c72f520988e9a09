using Lab.Models.Corpora;
using Lab.SparseTraining.Corpora;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Corpora;

/// <summary>Temporary folders with files to make corpora of, and the corpora.</summary>
internal sealed class CorpusFolder : IDisposable
{
    private readonly TemporaryFolder _root = new();
    private int _outputs;

    public string Source => Directory.CreateDirectory(_root["source"]).FullName;

    public void Dispose() => _root.Dispose();

    public CorpusFolder Add(string path, string text) => Add(path, System.Text.Encoding.UTF8.GetBytes(text));

    public CorpusFolder Add(string path, byte[] bytes)
    {
        string full = Path.Combine(Source, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllBytes(full, bytes);
        return this;
    }

    public CorpusConfig Config(params string[] patterns) => new() { Source = new FolderSource(Source, patterns, []), VocabSize = 300 };

    public string NewOutput() => Directory.CreateDirectory(_root[$"output-{_outputs++}"]).FullName;

    public async Task<(CorpusSummary Summary, string Output)> BuildAsync(CorpusConfig config, PythonStandardLibrary? python = null)
    {
        string output = NewOutput();
        CorpusSummary summary = await new CorpusBuilder(python).BuildAsync(config, output, _ => { }, TestContext.Current.CancellationToken);
        return (summary, output);
    }

    /// <summary>The documents of a split, in order.</summary>
    public static string[] Documents(string output, bool isHeldOut)
    {
        using TokenCorpus corpus = TokenCorpus.Open(output);
        TokenSplit split = isHeldOut ? corpus.HeldOut : corpus.Train;
        long[] ids = new long[split.Length];
        split.Read(0, ids);
        string text = corpus.Tokenizer.Decode([.. ids.Select(id => (int)id)]);
        return text.Split("<|endoftext|>")[..^1];
    }

    /// <summary>The documents of both splits.</summary>
    public static string[] Documents(string output) => [.. Documents(output, isHeldOut: false), .. Documents(output, isHeldOut: true)];

    /// <summary>The bytes of every file of a corpus.</summary>
    public static IReadOnlyDictionary<string, string> Files(string output) =>
        Directory.EnumerateFiles(output).ToDictionary(path => Path.GetFileName(path), path => Convert.ToHexString(File.ReadAllBytes(path)));
}
