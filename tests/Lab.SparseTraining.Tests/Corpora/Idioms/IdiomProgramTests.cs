using System.Security.Cryptography;
using System.Text;
using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.SparseTraining.Corpora.Idioms;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Corpora.Idioms;

public sealed class IdiomProgramTests
{
    private static readonly string[] _programs = [.. Enumerable.Range(0, 400).Select(i => IdiomProgram.Generate(0, i, IdiomWeights.Equal))];

    [Fact]
    public async Task Generate_ManyPrograms_AreValidPython()
    {
        string? errors = await PythonInterpreter.CompileAsync(_programs, TestContext.Current.CancellationToken);
        Assert.SkipWhen(errors is null && PythonInterpreter.MayBeMissing, "There is no python3 on this machine.");

        (errors is "").ShouldBeTrue(errors);
    }

    [Fact]
    public void Generate_SameSeedAndIndex_GivesTheSameTextInAnyOrder()
    {
        IdiomProgram.Generate(0, 7, IdiomWeights.Equal).ShouldBe(_programs[7]);
        IdiomProgram.Generate(1, 7, IdiomWeights.Equal).ShouldNotBe(_programs[7]);
        _programs.Distinct().Count().ShouldBe(_programs.Length);
    }

    /// <summary>Models that were measured were trained on this text: it changes only on purpose.</summary>
    [Fact]
    public void Generate_ManyPrograms_AreTheSameOnEveryMachine() =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(_programs)))).ShouldBe("a7273242b09c5bbecca72e4912f2c87550f01fa7f3a650a13e4d479dec6269e4");

    [Fact]
    public void Generate_ManyPrograms_HaveTheTrainingLayoutsOfEveryTask()
    {
        string corpus = Layout(string.Concat(_programs));
        foreach (PythonTask task in PythonTask.All)
        {
            string[] layouts = [.. Prompts(task, PromptSplit.Train, IdiomWords.All).Select(Layout).Distinct()];
            layouts.Count(layout => corpus.Contains(layout, StringComparison.Ordinal)).ShouldBeGreaterThan(layouts.Length / 3, task.Name);
        }
    }

    /// <summary>A line of context that happens to be "args = []" makes one of "results.append(...)" after it, in 5 of 24,000 programs.</summary>
    [Fact]
    public void Generate_ManyPrograms_HaveHardlyAnyHeldOutLayout()
    {
        string[] heldOut =
        [
            .. from task in PythonTask.All
               from split in new[] { PromptSplit.HeldOut, PromptSplit.Test }
               from layout in Prompts(task, split, TaskWords.Of(split)).Select(Layout)
               select layout,
        ];
        heldOut = [.. heldOut.Distinct()];
        string[] found =
        [
            .. from index in Enumerable.Range(0, 2000)
               let program = "\n" + Layout(IdiomProgram.Generate(1, index, IdiomWeights.Equal))
               from layout in heldOut
               where program.Contains("\n" + layout, StringComparison.Ordinal)
               select layout,
        ];

        heldOut.Length.ShouldBeGreaterThan(150);
        found.Length.ShouldBeLessThanOrEqualTo(1, string.Join("; ", found));
    }

    [Fact]
    public void Generate_OnlyOneIdiom_HasThatOneAlone()
    {
        var weights = PythonTask.All.ToDictionary(task => task.Name, task => task.Name == "var_swap" ? 2.0 : 0);
        string text = string.Concat(Enumerable.Range(0, 20).Select(i => IdiomProgram.Generate(0, i, new IdiomWeights(weights, "w"))));

        text.ShouldNotContain("\nclass ", Case.Sensitive);
        text.ShouldNotContain("open(");
        text.Split('\n').Count(line => line.Contains(", ") && line.Contains(" = ")).ShouldBeGreaterThan(40);
    }

    [Theory]
    [InlineData("no_such_idiom", 1)]
    [InlineData("var_swap", -1)]
    [InlineData("var_swap", double.NaN)]
    [InlineData("var_swap", double.PositiveInfinity)]
    public void Weights_UnknownNameOrBadNumber_NamesTheField(string name, double weight)
    {
        ArgumentException error = Should.Throw<ArgumentException>(() => new IdiomWeights(new Dictionary<string, double> { [name] = weight }, "config.idioms.idiom_weights"));

        error.ParamName.ShouldBe("config.idioms.idiom_weights");
        if (name == "no_such_idiom") PythonTask.All.ShouldAllBe(task => error.Message.Contains(task.Name));
    }

    [Fact]
    public void Weights_AllZero_NamesTheField() =>
        Should.Throw<ArgumentException>(() => new IdiomWeights(PythonTask.All.ToDictionary(task => task.Name, _ => 0.0), "field")).ParamName.ShouldBe("field");

    /// <summary>The layout without indentation: held-out prompts must be absent at any depth.</summary>
    private static string Layout(string code) => string.Join('\n', PythonSkeleton.Of(code).Split('\n').Select(line => line.TrimStart()));

    private static IEnumerable<string> Prompts(PythonTask task, PromptSplit split, TaskWords words)
    {
        var random = new SeededRandom(11, (long)split);
        return Enumerable.Range(0, 100).Select(_ => task.Draw(random, split, words)).SelectMany(pair => new[] { pair.A.Text, pair.B.Text });
    }
}
