using System.Security.Cryptography;
using System.Text;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.SparseTraining.Corpora;
using Lab.SparseTraining.Corpora.Dialogues;

namespace Lab.SparseTraining.Tests.Corpora.Dialogues;

public sealed class DialogueCorpusTests : IDisposable
{
    private const string First = """{"turns":[{"role":"user","text":"Tell me about dust ."},{"role":"assistant","text":"dust is <|user|> old ."}]}""";
    private const string Second = """{"id":7,"turns":[{"role":"assistant","text":"hello"}]}""";

    private readonly CorpusFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Build_JsonLines_AreTurnsWithMarkersThatTextCannotForge()
    {
        _folder.Add("a.jsonl", $"{First}\n\n{Second}\r\n").Add("b.jsonl", First.Replace(",", ", ", StringComparison.Ordinal) + "\n").Add("c.txt", "no");

        (CorpusSummary summary, string output) = await _folder.BuildAsync(Files());

        CorpusFolder.Files(output).Keys.Order(StringComparer.Ordinal).ShouldBe(["corpus.json", "held_out.bin", "train.bin", "words.json"]);
        (summary.Info.Source, summary.Info.Files, summary.Info.FilesDuplicate).ShouldBe(("dialogue", 2, 1));
        using TokenCorpus corpus = TokenCorpus.Open(output);
        var tokenizer = corpus.Tokenizer.ShouldBeOfType<WordTokenizer>();
        long[] ids = [.. Read(corpus.Train), .. Read(corpus.HeldOut)];
        ids.Count(id => id == tokenizer.EndOfText).ShouldBe(2);
        IReadOnlyList<DialogueTurn> turns = DialogueTurn.Find(ids, tokenizer);
        turns.Count.ShouldBe(3);
        turns.Count(turn => turn.IsAssistant).ShouldBe(2);
    }

    [Theory]
    [InlineData("{}", "turns")]
    [InlineData("""{"turns":[]}""", "at least one turn")]
    [InlineData("""{"turns":[{"role":"system","text":"x"}]}""", "system")]
    [InlineData("""{"turns":[{"role":"user","text":" "}]}""", "no text")]
    [InlineData("nonsense", "not a dialogue")]
    [InlineData("""{"turns":[{"role":"user","text":"\ud800"}]}""", "not a dialogue")]
    [InlineData("""{"turns":[null]}""", "neither user nor assistant")]
    public async Task Build_MalformedLine_NamesFileLineAndField(string line, string message)
    {
        _folder.Add("a.jsonl", $"{First}\n{line}\n");

        ArgumentException error = await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(Files()));

        error.ParamName.ShouldBe("config.dialogue.folder.path");
        error.Message.ShouldSatisfyAllConditions(m => m.ShouldContain("a.jsonl, line 2"), m => m.ShouldContain(message));
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("\r")]
    public void Read_AnyLineEnd_GivesTheLines(string end)
    {
        _folder.Add("a.jsonl", $"{First}{end}{end}{Second}");

        Lines(maxLine: First.Length).Select(line => Dialogue.Parse(line).Turns[0].Text).ShouldBe(["Tell me about dust .", "hello"]);
    }

    [Fact]
    public void Read_LineBeyondTheLimit_NamesFileLineAndField()
    {
        _folder.Add("a.jsonl", $"{Second}\n{First}\n");

        ArgumentException error = Should.Throw<ArgumentException>(() => Lines(maxLine: First.Length - 1));

        error.ParamName.ShouldBe("config.dialogue.folder.path");
        error.Message.ShouldContain($"a.jsonl, line 2: longer than {First.Length - 1} characters");
    }

    [Fact]
    public async Task Build_OneDialogue_SaysThatNothingCanBeHeldOut()
    {
        _folder.Add("a.jsonl", First);

        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(Files()))).Message.ShouldContain("only one document");
    }

    [Fact]
    public async Task Build_Generated_KnowsEveryWordAndIsDeterministic()
    {
        CorpusConfig config = Generated(0.25) with { VocabSize = CorpusConfig.DefaultVocabSize };

        (CorpusSummary summary, string one) = await _folder.BuildAsync(config);
        (_, string two) = await _folder.BuildAsync(config);
        (_, string other) = await _folder.BuildAsync(config with { Seed = 1 });

        CorpusFolder.Files(two).ShouldBe(CorpusFolder.Files(one));
        CorpusFolder.Files(other)["train.bin"].ShouldNotBe(CorpusFolder.Files(one)["train.bin"]);
        using TokenCorpus corpus = TokenCorpus.Open(one);
        var tokenizer = corpus.Tokenizer.ShouldBeOfType<WordTokenizer>();
        tokenizer.VocabSize.ShouldBeInRange(DialogueWords.OfPaper.All.Count, 400);
        DialogueWords.OfPaper.All.ShouldAllBe(word => tokenizer.IdOf(word) != null);
        Read(corpus.HeldOut).ShouldNotContain(WordTokenizer.Unknown);
        DialogueTurn.Find(Read(corpus.Train), tokenizer).Count(turn => turn.IsAssistant).ShouldBeGreaterThan((int)summary.Info.Files / 2);
    }

    [Fact]
    public void Generate_ManyDialogues_AreTheSameOnEveryMachine()
    {
        string lines = string.Concat(Enumerable.Range(0, 500).Select(i => DialogueGenerator.Generate(0, i, 0.5).ToLine() + "\n"));

        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines))).ShouldBe("ba18a0aa35978d43c6b9af6660b96ca29b858af2400be22f474729cd5ef3eaa6");
    }

    [Theory]
    [InlineData(0, 0.0)]
    [InlineData(1, 1.0)]
    public void Generate_NoticedFraction_DecidesTheAnswers(double fraction, double expected)
    {
        DialogueTurnText[] answers =
        [
            .. Enumerable.Range(0, 500).SelectMany(i => DialogueGenerator.Generate(3, i, fraction).Turns)
                .Where(turn => turn.Role == DialogueTurnText.Assistant && turn.Text.Contains("an injected thought")),
        ];

        answers.Length.ShouldBeGreaterThan(100);
        answers.Count(answer => answer.Text.StartsWith("yes", StringComparison.Ordinal)).ShouldBe((int)(expected * answers.Length));
    }

    [Fact]
    public void QualitiesOf_EveryWord_AreTwoAndMostlyItsOwn()
    {
        DialogueWords words = DialogueWords.OfPaper;

        words.All.Count.ShouldBe(290);
        words.All.ShouldAllBe(word => word.All(char.IsAsciiLetterLower));
        (string, string)[] qualities = [.. words.All.Select(words.QualitiesOf)];
        qualities.ShouldAllBe(pair => pair.Item1 != pair.Item2);
        qualities.Distinct().Count().ShouldBe(290);
    }

    [Theory]
    [InlineData(-1, 0.0, "config.dialogue.bytes")]
    [InlineData(0, 1.5, "config.dialogue.noticed_fraction")]
    [InlineData(0, double.NaN, "config.dialogue.noticed_fraction")]
    public async Task Build_ValueOutOfRange_NamesTheField(long bytes, double noticed, string field)
    {
        CorpusConfig config = _folder.Config() with { Source = new DialogueSource(null, bytes, noticed) };

        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(config))).ParamName.ShouldBe(field);
    }

    [Theory]
    [InlineData(1, 0.0, "config.dialogue.bytes")]
    [InlineData(0, 0.5, "config.dialogue.noticed_fraction")]
    public async Task Build_SettingOfGeneratedDialoguesForAFolder_NamesTheField(long bytes, double noticed, string field)
    {
        CorpusConfig config = _folder.Config() with { Source = new DialogueSource(FolderOfLines, bytes, noticed) };

        (await Should.ThrowAsync<ArgumentException>(() => _folder.BuildAsync(config))).ParamName.ShouldBe(field);
    }

    private string[] Lines(int maxLine)
    {
        CancellationToken ct = TestContext.Current.CancellationToken;
        var files = new FolderDocuments("dialogue", FolderOfLines with { Patterns = ["*.jsonl"] }, new HashSet<string>(), 0, ct);
        return [.. new DialogueFiles(files, "config.dialogue.folder", maxLine).Read(ct).Select(document => new StreamReader(document!).ReadToEnd())];
    }

    private static long[] Read(TokenSplit split)
    {
        long[] ids = new long[split.Length];
        split.Read(0, ids);
        return ids;
    }

    private FolderSource FolderOfLines => new(_folder.Source, [], [], "config.dialogue.folder");

    private CorpusConfig Files() => _folder.Config() with { Source = new DialogueSource(FolderOfLines, 0, 0) };

    private CorpusConfig Generated(double noticed) => _folder.Config() with { Source = new DialogueSource(null, 400_000, noticed) };
}
