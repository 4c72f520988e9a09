using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class MixTests : IDisposable
{
    private static readonly IReadOnlyDictionary<string, double> _equal = new Dictionary<string, double>();

    private readonly CorpusFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Build_MixOfFolderAndIdioms_SharesBytesByWeightAndEndsWithTheFirst()
    {
        foreach (int i in Enumerable.Range(0, 200)) _folder.Add($"f{i}.py", string.Concat(Enumerable.Repeat($"own_{i} = {i}\n", 40)));

        (CorpusSummary summary, string output) = await _folder.BuildAsync(Mix((Own, 1), (new IdiomSource(10 << 20, _equal), 3)));

        string[] documents = CorpusFolder.Documents(output);
        double own = documents.Where(document => document.StartsWith("own_", StringComparison.Ordinal)).Sum(document => document.Length);
        documents.Count(document => document.StartsWith("own_", StringComparison.Ordinal)).ShouldBe(200);
        (own / documents.Sum(document => document.Length)).ShouldBe(0.25, 0.02);
        summary.Info.Source.ShouldBe("mix");
        summary.SourceDescription.ShouldContain("idioms");
        summary.SourceDescription.ShouldContain("25");
    }

    [Fact]
    public async Task Build_SameSeed_GivesTheSameBytesAndAnotherOthers()
    {
        foreach (int i in Enumerable.Range(0, 20)) _folder.Add($"f{i}.py", $"own_{i} = {i}\n");
        CorpusConfig config = Mix((Own, 1), (new IdiomSource(0, _equal), 1), (new GeneratedSource(0), 2));

        (_, string one) = await _folder.BuildAsync(config);
        (_, string two) = await _folder.BuildAsync(config);
        (_, string other) = await _folder.BuildAsync(config with { Seed = 1 });

        CorpusFolder.Files(two).ShouldBe(CorpusFolder.Files(one));
        CorpusFolder.Files(other)["train.bin"].ShouldNotBe(CorpusFolder.Files(one)["train.bin"]);
    }

    [Fact]
    public async Task Build_TheSameDocumentsTwice_DropsThemAcrossParts()
    {
        foreach (int i in Enumerable.Range(0, 20)) _folder.Add($"f{i}.py", $"own_{i} = {i}\n");

        (CorpusSummary summary, _) = await _folder.BuildAsync(Mix((Own, 1), (Own, 1)));

        (summary.Info.Files, summary.Info.FilesDuplicate).ShouldBe((20, 20));
    }

    [Fact]
    public async Task Build_ExcludePatterns_LeaveFilesOut()
    {
        _folder.Add("a.py", "x = 1\n").Add("b.py", "y = 2\n").Add("old/c.py", "z = 3\n").Add("deep/old/d.py", "w = 4\n").Add("a_test.py", "v = 5\n");
        CorpusConfig config = _folder.Config() with { Source = new FolderSource(_folder.Source, [], ["**/old/**", "**/*_test.py"]) };

        (CorpusSummary summary, string output) = await _folder.BuildAsync(config);

        CorpusFolder.Documents(output).Order().ShouldBe(["x = 1\n", "y = 2\n"]);
        summary.SourceDescription.ShouldEndWith("without **/old/**, **/*_test.py");
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(-1.0)]
    [InlineData(double.NaN)]
    public async Task Build_WeightOutOfRange_NamesTheField(double weight) =>
        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(Mix((Own, 1), (Own, weight))))).ParamName.ShouldBe("config.mix.parts[1].weight");

    [Fact]
    public async Task Build_NoParts_NamesTheField() =>
        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(Mix()))).ParamName.ShouldBe("config.mix.parts");

    private FolderSource Own => new(_folder.Source, [], []);

    private CorpusConfig Mix(params (CorpusSource Source, double Weight)[] parts) =>
        _folder.Config() with { Source = new MixSource([.. parts.Select(part => new MixPart(part.Source, part.Weight))]) };
}
