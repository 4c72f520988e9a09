using Lab.Models.Corpora;
using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class StreamingTests : IDisposable
{
    private static readonly CorpusLimits _small = new() { BufferBytes = 64, PieceBytes = 4096, BatchBytes = 16_384 };

    private readonly CorpusFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Build_ManyDocuments_HoldsNoMoreTextThanTheLimit()
    {
        CorpusConfig config = _folder.Config() with { Source = new IdiomSource(2 << 20, new Dictionary<string, double>()) };

        CorpusSummary summary = await BuildAsync(config, _small, _folder.NewOutput());

        summary.Info.Bytes.ShouldBeGreaterThanOrEqualTo(2 << 20);
        summary.PeakBuffered.ShouldBeInRange(_small.BatchBytes, _small.BatchBytes + _small.PieceBytes);
    }

    [Fact]
    public async Task Build_OneDocumentFarLargerThanAllBuffers_IsReadInPieces()
    {
        using (StreamWriter writer = File.CreateText(Path.Combine(_folder.Source, "large.py")))
        {
            for (int i = 0; i < 60_000; i++) await writer.WriteAsync($"value_{i % 977} = {i}\n\n");
        }

        string one = _folder.NewOutput(), two = _folder.NewOutput();
        CorpusSummary summary = await BuildAsync(_folder.Config(), _small, one);
        await BuildAsync(_folder.Config(), new CorpusLimits { PieceBytes = 64 << 20, BatchBytes = 64 << 20 }, two);

        summary.PeakBuffered.ShouldBeLessThanOrEqualTo(_small.BatchBytes + _small.PieceBytes);
        summary.Info.Bytes.ShouldBeGreaterThan(50 * _small.BatchBytes);
        CorpusFolder.Files(one).ShouldBe(CorpusFolder.Files(two));
    }

    [Fact]
    public async Task Build_TokenizerBytes_ReadsOnlyTheFirstDocumentsForTheTokenizer()
    {
        CorpusConfig config = _folder.Config() with { Source = new GeneratedSource(300_000), VocabSize = 600 };
        string all = _folder.NewOutput(), some = _folder.NewOutput();

        await BuildAsync(config, new CorpusLimits(), all);
        CorpusSummary summary = await BuildAsync(config, new CorpusLimits { TokenizerBytes = 10_000 }, some);

        CorpusFolder.Files(some)["merges.txt"].ShouldNotBe(CorpusFolder.Files(all)["merges.txt"]);
        CorpusFolder.Documents(some).Order().ShouldBe(CorpusFolder.Documents(all).Order());
        using TokenCorpus corpus = TokenCorpus.Open(some);
        corpus.Info.ShouldBe(summary.Info);
    }

    private static Task<CorpusSummary> BuildAsync(CorpusConfig config, CorpusLimits limits, string output) =>
        new CorpusBuilder(limits: limits).BuildAsync(config, output, _ => { }, TestContext.Current.CancellationToken);
}
