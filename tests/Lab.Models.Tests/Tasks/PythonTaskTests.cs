using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.Testing;

namespace Lab.Models.Tests.Tasks;

public sealed class PythonTaskTests
{
    private const int Draws = 120;

    public static TheoryData<string> Names => [.. PythonTask.All.Select(task => task.Name)];

    [Fact]
    public void All_Names_AreTheTwentyOfThePaper()
    {
        PythonTask.All.Count.ShouldBe(20);
        PythonTask.All.Select(task => task.Name).Distinct().Count().ShouldBe(20);
        PythonTask.All.Select(task => task.Index).ShouldBe(Enumerable.Range(0, 20));
        PythonTask.Get("bracket_counting", "task").ShouldBeSameAs(PythonTask.All[8]);
    }

    [Fact]
    public void Get_UnknownName_NamesTheFieldAndListsTheTasks()
    {
        ArgumentException error = Should.Throw<ArgumentException>(() => PythonTask.Get("quotes", "config.task"));

        error.ParamName.ShouldBe("config.task");
        PythonTask.All.ShouldAllBe(task => error.Message.Contains(task.Name));
    }

    [Fact]
    public async Task Draw_PromptsTargetsAndRests_AreValidPython()
    {
        string[] programs = [.. PythonTask.All.SelectMany(task => Enum.GetValues<PromptSplit>().SelectMany(split => Pairs(task, split))).SelectMany(pair => new[] { pair.A.Program, pair.B.Program })];

        string? errors = await PythonInterpreter.CompileAsync(programs, TestContext.Current.CancellationToken);
        Assert.SkipWhen(errors is null && PythonInterpreter.MayBeMissing, "There is no python3 on this machine.");
        (errors is "").ShouldBeTrue(errors);
        programs.Length.ShouldBe(20 * 3 * Draws * 2);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Draw_EveryPair_AsksForDifferentTargetsOfDifferentPrompts(string name)
    {
        foreach (PromptPair pair in Enum.GetValues<PromptSplit>().SelectMany(split => Pairs(PythonTask.Get(name, "name"), split)))
        {
            pair.A.Target.ShouldNotBe(pair.B.Target);
            pair.A.Text.ShouldNotBe(pair.B.Text);
            pair.A.Alternative.ShouldBe(pair.B.Target);
            pair.B.Alternative.ShouldBe(pair.A.Target);
            new[] { pair.A.Target, pair.B.Target }.ShouldAllBe(target => target.Length > 0);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Templates_TrainAndHeldOut_AreDistinctAndEnough(string name)
    {
        var task = PythonTask.Get(name, "name");
        string[] train = [.. task.TemplatesOf(PromptSplit.Train).Select(template => template.Text)];
        string[] heldOut = [.. task.TemplatesOf(PromptSplit.HeldOut).Select(template => template.Text)];

        train.Length.ShouldBeGreaterThanOrEqualTo(4);
        heldOut.Length.ShouldBeGreaterThanOrEqualTo(3);
        train.Concat(heldOut).Distinct().Count().ShouldBe(train.Length + heldOut.Length);

        HashSet<string> layouts = [.. Prompts(task, PromptSplit.Train).Select(PythonSkeleton.Of)];
        Prompts(task, PromptSplit.HeldOut).Concat(Prompts(task, PromptSplit.Test)).Select(PythonSkeleton.Of).Where(layouts.Contains).Distinct().ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Draw_SameSeed_GivesTheSamePairsAndOtherSeedsOthers(string name)
    {
        var task = PythonTask.Get(name, "name");

        Programs(1).ShouldBe(Programs(1));
        Programs(2).ShouldNotBe(Programs(1));

        string Programs(long seed)
        {
            var random = new SeededRandom(seed);
            return string.Concat(Enumerable.Range(0, 20).Select(_ => task.Draw(random, PromptSplit.HeldOut).A.Program));
        }
    }

    [Fact]
    public void Draw_FixedVariableName_IsAlwaysCurrent()
    {
        foreach (PromptPair pair in Pairs(PythonTask.Get("set_or_string_fixedvarname", "name"), PromptSplit.HeldOut))
        {
            pair.A.Text.ShouldEndWith("current");
            pair.B.Text.ShouldEndWith("current");
        }
    }

    [Fact]
    public void Words_OfTwoSplits_AreDisjoint()
    {
        TaskWords[] splits = [.. Enum.GetValues<PromptSplit>().Select(TaskWords.Of)];

        ShouldBeDisjoint(words => words.PhraseWords);
        ShouldBeDisjoint(words => words.Calls);
        ShouldBeDisjoint(words => words.Lines);
        ShouldBeDisjoint(words => words.Blocks);
        splits.SelectMany(words => words.PhraseWords).ShouldAllBe(word => word.All(char.IsAsciiLetterLower));

        void ShouldBeDisjoint(Func<TaskWords, IEnumerable<string>> select) =>
            splits.SelectMany(select).GroupBy(text => text).Where(group => group.Count() > 1).Select(group => group.Key).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("x = 1")]
    [InlineData("x¦ = 1")]
    [InlineData("x¦¦ = 1")]
    [InlineData("x¦ = ¦$nothing")]
    public void Parse_Malformed_Throws(string text) => Should.Throw<FormatException>(() => TaskTemplate.Parse(text));

    [Fact]
    public void Fill_OfAVariantInBothPrompts_KeepsTheirNamesEqual()
    {
        PromptPair pair = TaskTemplate.Parse("$var, $var2 =¦ «$var‖$var2»¦").Fill(new SeededRandom(0), TaskWords.All);

        pair.Names.Count.ShouldBe(2);
        pair.A.ShouldBe(new PythonPrompt($"{pair.Names[0]}, {pair.Names[1]} =", $" {pair.Names[0]}", $" {pair.Names[1]}", "\n"));
        pair.B.Target.ShouldBe(pair.A.Alternative);
    }

    private static IEnumerable<PromptPair> Pairs(PythonTask task, PromptSplit split)
    {
        var random = new SeededRandom(5, (long)split);
        return Enumerable.Range(0, Draws).Select(_ => task.Draw(random, split));
    }

    private static IEnumerable<string> Prompts(PythonTask task, PromptSplit split) => Pairs(task, split).SelectMany(pair => new[] { pair.A.Text, pair.B.Text });
}
