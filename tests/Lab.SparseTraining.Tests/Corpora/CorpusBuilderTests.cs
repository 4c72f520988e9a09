using Lab.Models.Corpora;
using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class CorpusBuilderTests : IDisposable
{
    private readonly CorpusFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Build_Folder_HoldsEveryMatchingDocumentOnceAndEnded()
    {
        _folder.Add("a.py", "x = 1\n").Add("sub/b.py", "y = 2\n").Add("sub/deep/c.py", "z = 3\n").Add("notes.txt", "no\n").Add("empty.py", "");

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config());

        CorpusFolder.Documents(output).Order().ShouldBe(["x = 1\n", "y = 2\n", "z = 3\n"]);
        summary.Info.Files.ShouldBe(3);
        summary.Info.Bytes.ShouldBe(18);
        summary.Info.Source.ShouldBe("folder");
        summary.SourceDescription.ShouldBe($"**/*.py in {_folder.Source}");
        CorpusFolder.Files(output).Keys.Order(StringComparer.Ordinal).ShouldBe(["corpus.json", "held_out.bin", "merges.txt", "train.bin", "vocab.json"]);
    }

    [Fact]
    public async Task Build_BinaryBrokenAndDuplicateFiles_AreLeftOutAndCounted()
    {
        _folder.Add("a.py", "x = 1\n").Add("b.py", "y = 2\n").Add("copy.py", "x = 1\r\n").Add("bom.py", [0xEF, 0xBB, 0xBF, .. "y = 2\n"u8])
            .Add("binary.py", [1, 0, 2]).Add("latin.py", [(byte)'#', 0xE9]);

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config());

        CorpusFolder.Documents(output).Order().ShouldBe(["x = 1\n", "y = 2\n"]);
        summary.Info.FilesSkipped.ShouldBe(2);
        summary.Info.FilesDuplicate.ShouldBe(2);
    }

    [Fact]
    public async Task Build_TextOfTheSpecialToken_IsNotTakenForAnEnd()
    {
        _folder.Add("a.py", "x = '<|endoftext|>'\n").Add("b.py", "y = 2\n");

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config());

        using TokenCorpus corpus = TokenCorpus.Open(output);
        long[] ids = [.. Read(corpus.Train), .. Read(corpus.HeldOut)];
        ids.Count(id => id == corpus.Tokenizer.EndOfText).ShouldBe(2);
        ids.Length.ShouldBe((int)(summary.Info.TrainTokens + summary.Info.HeldOutTokens));
    }

    [Fact]
    public async Task Build_SameFilesMadeInAnotherOrder_GivesTheSameBytes()
    {
        using var other = new CorpusFolder();
        foreach (int i in Enumerable.Range(0, 30)) _folder.Add($"f{i}.py", $"value_{i} = {i * i}\n");
        foreach (int i in Enumerable.Range(0, 30).Reverse()) other.Add($"f{i}.py", $"value_{i} = {i * i}\n");

        (_, string one) = await _folder.BuildAsync(_folder.Config());
        (_, string two) = await other.BuildAsync(other.Config());

        CorpusFolder.Files(two).ShouldBe(CorpusFolder.Files(one));
    }

    [Fact]
    public async Task Build_AnotherFileAdded_LeavesTheOthersInTheirSplit()
    {
        foreach (int i in Enumerable.Range(0, 60)) _folder.Add($"f{i}.py", $"value_{i} = {i * i}\n");
        CorpusConfig config = _folder.Config() with { HeldOutFraction = 0.3 };
        (_, string before) = await _folder.BuildAsync(config);
        (_, string after) = await _folder.Add("new.py", "new = 1\n").BuildAsync(config);

        string[] heldOut = CorpusFolder.Documents(before, isHeldOut: true);
        heldOut.Length.ShouldBeInRange(8, 30);
        CorpusFolder.Documents(after, isHeldOut: true).Except(["new = 1\n"]).ShouldBe(heldOut);
    }

    [Fact]
    public async Task Build_AnotherSeed_SplitsAndOrdersOtherwise()
    {
        foreach (int i in Enumerable.Range(0, 60)) _folder.Add($"f{i}.py", $"value_{i} = {i * i}\n");

        (_, string one) = await _folder.BuildAsync(_folder.Config());
        (_, string two) = await _folder.BuildAsync(_folder.Config() with { Seed = 1 });

        CorpusFolder.Documents(two, isHeldOut: true).ShouldNotBe(CorpusFolder.Documents(one, isHeldOut: true));
        CorpusFolder.Documents(two).Order().ShouldBe(CorpusFolder.Documents(one).Order());
    }

    [Fact]
    public async Task Build_MaxBytes_StopsAtALine()
    {
        foreach (int i in Enumerable.Range(0, 20)) _folder.Add($"f{i}.py", $"a = {i}\nb = {i}\nc = {i}\n");

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config() with { MaxBytes = 100 });

        summary.Info.Bytes.ShouldBeInRange(91, 100);
        CorpusFolder.Documents(output).ShouldAllBe(text => text.EndsWith('\n'));
    }

    [Fact]
    public async Task Build_SingleFile_HoldsOutItsEndAndSaysSo()
    {
        _folder.Add("book.txt", string.Concat(Enumerable.Range(0, 100).Select(i => $"line {i}\n")));

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config("*.txt") with { HeldOutFraction = 0.1 });

        CorpusFolder.Documents(output, isHeldOut: true).Single().ShouldEndWith("line 99\n");
        string.Concat(CorpusFolder.Documents(output)).ShouldBe(File.ReadAllText(Path.Combine(_folder.Source, "book.txt")));
        summary.SourceDescription.ShouldContain("the end of the only document is held out");
    }

    [Fact]
    public async Task Build_Tokenizer_LearnsFromTheTrainingSplitAlone()
    {
        foreach (int i in Enumerable.Range(0, 26)) _folder.Add($"f{i}.py", string.Concat(Enumerable.Repeat($"{(char)('A' + i)}{(char)('a' + i)} ", 50)));

        (_, string output) = await _folder.BuildAsync(_folder.Config() with { HeldOutFraction = 0.2, VocabSize = 2000 });

        using TokenCorpus corpus = TokenCorpus.Open(output);
        string[] tokens = [.. Enumerable.Range(0, corpus.Tokenizer.VocabSize).Select(corpus.Tokenizer.TokenText)];
        WordsOf(isHeldOut: true).ShouldNotBeEmpty();
        WordsOf(isHeldOut: true).Intersect(tokens).ShouldBeEmpty();
        WordsOf(isHeldOut: false).Except(tokens).ShouldBeEmpty();

        IEnumerable<string> WordsOf(bool isHeldOut) => CorpusFolder.Documents(output, isHeldOut).Select(text => $" {text[..2]}");
    }

    [Fact]
    public async Task Build_FolderThatLinksToItself_Ends()
    {
        _folder.Add("sub/a.py", "x = 1\n").Add("b.py", "y = 2\n");
        Directory.CreateSymbolicLink(Path.Combine(_folder.Source, "sub", "loop"), _folder.Source);

        (CorpusSummary summary, _) = await _folder.BuildAsync(_folder.Config());

        summary.Info.Files.ShouldBe(2);
        summary.Info.FilesDuplicate.ShouldBe(0);
    }

    [Fact]
    public async Task Build_LinksToFilesPipesAndNothing_TakesTheFilesAndEnds()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There are no named pipes in folders.");
        _folder.Add("a.py", "x = 1\n").Add("b.py", "y = 2\n").Add("elsewhere.txt", "z = 3\n").Add("nothing.txt", "");
        string pipe = Path.Combine(_folder.Source, "pipe");
        using (var made = System.Diagnostics.Process.Start("mkfifo", [pipe])) await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        File.Exists(pipe).ShouldBeTrue();
        foreach (string target in new[] { "elsewhere.txt", "nothing.txt", "pipe", "absent", "to-itself.py" })
            File.CreateSymbolicLink(Path.Combine(_folder.Source, target == "to-itself.py" ? target : $"to-{target}.py"), Path.Combine(_folder.Source, target));

        (CorpusSummary summary, string output) = await _folder.BuildAsync(_folder.Config()).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        CorpusFolder.Documents(output).Order().ShouldBe(["x = 1\n", "y = 2\n", "z = 3\n"]);
        summary.Info.FilesSkipped.ShouldBe(2);
    }

    [Theory]
    [InlineData("no-such-folder")]
    [InlineData("")]
    public async Task Build_NoSuchFolder_NamesTheField(string path)
    {
        CorpusConfig config = _folder.Config() with { Source = new FolderSource(path, [], []) };

        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(config))).ParamName.ShouldBe("config.folder.path");
    }

    [Fact]
    public async Task Build_NothingReadable_NamesTheFieldAndLeavesNothing()
    {
        _folder.Add("binary.py", [0, 1]).Add("notes.txt", "text");
        string output = _folder.NewOutput();

        ArgumentException error = await Should.ThrowAsync<ArgumentException>(
            () => new CorpusBuilder().BuildAsync(_folder.Config(), output, _ => { }, TestContext.Current.CancellationToken));

        error.ParamName.ShouldBe("config.folder.path");
        error.Message.ShouldContain("1 files are binary");
        Directory.EnumerateFileSystemEntries(output).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(256, 0.05, 0, "config.vocab_size")]
    [InlineData(65537, 0.05, 0, "config.vocab_size")]
    [InlineData(300, 0.0, 0, "config.held_out_fraction")]
    [InlineData(300, 0.51, 0, "config.held_out_fraction")]
    [InlineData(300, double.NaN, 0, "config.held_out_fraction")]
    [InlineData(300, 0.05, -1, "config.max_bytes")]
    public async Task Build_ValueOutOfRange_NamesTheField(int vocabSize, double heldOutFraction, long maxBytes, string field)
    {
        CorpusConfig config = _folder.Config() with { VocabSize = vocabSize, HeldOutFraction = heldOutFraction, MaxBytes = maxBytes };

        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(config))).ParamName.ShouldBe(field);
    }

    [Fact]
    public async Task Build_Cancelled_Stops()
    {
        _folder.Add("a.py", "x = 1\n").Add("b.py", "y = 2\n");
        using var cancellation = new CancellationTokenSource();
        string output = _folder.NewOutput();

        await Should.ThrowAsync<OperationCanceledException>(() => new CorpusBuilder().BuildAsync(_folder.Config(), output, _ => cancellation.Cancel(), cancellation.Token));
    }

    [Fact]
    public async Task Build_Progress_GoesThroughAllPhasesToTheEnd()
    {
        _folder.Add("a.py", "x = 1\n").Add("b.py", "y = 2\n");
        var reports = new List<CorpusProgress>();

        await new CorpusBuilder().BuildAsync(_folder.Config(), _folder.NewOutput(), reports.Add, TestContext.Current.CancellationToken);

        reports.Select(report => report.Phase).Distinct().ShouldBe(["reading", "training the tokenizer", "tokenizing"]);
        reports.GroupBy(report => report.Phase).ShouldAllBe(phase => phase.Last().Completed == 12 && phase.Last().Total == 12);
    }

    private static long[] Read(TokenSplit split)
    {
        long[] ids = new long[split.Length];
        split.Read(0, ids);
        return ids;
    }
}
