using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Lab.Models.Tasks;
using Lab.SparseTraining.Corpora.Generated;

namespace Lab.SparseTraining.Tests.Corpora.Generated;

public sealed partial class PythonProgramTests
{
    private static readonly string[] _programs = [.. Enumerable.Range(0, 200).Select(i => PythonProgram.Generate(0, i))];

    [Fact]
    public void Generate_ManyPrograms_AreWellFormed()
    {
        foreach ((string program, int index) in _programs.Select((program, index) => (program, index))) PythonLayout.Check(program, $"program {index}");
    }

    [Fact]
    public void Generate_SameSeedAndIndex_GivesTheSameTextOnEveryMachine() =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(_programs)))).ShouldBe("ab59526476fec82d7698995dc39aaa2db81b24ae6f7b5163225286dd7190369a");

    [Fact]
    public void Generate_ManyPrograms_AreDistinct() => _programs.Distinct().Count().ShouldBe(_programs.Length);

    [Fact]
    public void Generate_OtherSeed_GivesOtherText() => PythonProgram.Generate(1, 0).ShouldNotBe(_programs[0]);

    [Fact]
    public void Generate_ManyPrograms_CloseCallsWithEitherQuoteHalfOfTheTime()
    {
        string[] calls = [.. _programs.SelectMany(program => ClosedCall().Matches(program)).Select(match => match.Value)];

        calls.Length.ShouldBeGreaterThan(1000);
        ((double)calls.Count(call => call[0] == '"') / calls.Length).ShouldBeInRange(0.45, 0.55);
    }

    [Theory]
    [InlineData("class ")]
    [InlineData("def __init__(self")]
    [InlineData("with open(")]
    [InlineData("for ")]
    [InlineData("while ")]
    [InlineData("print(f\"")]
    [InlineData("print('")]
    [InlineData(".items():")]
    [InlineData("]]\n")]
    [InlineData("except ")]
    [InlineData("elif ")]
    [InlineData("return ")]
    [InlineData("enumerate(")]
    [InlineData("if __name__ == ")]
    public void Generate_ManyPrograms_UseTheIdiom(string idiom) => _programs.Count(program => program.Contains(idiom, StringComparison.Ordinal)).ShouldBeGreaterThan(10);

    [Fact]
    public void Words_OfVerbsAndAdjectives_DoNotOverlap()
    {
        // A function is a verb and a noun, a variable an adjective and a noun: they must never share a name.
        PythonWords.Verbs.Intersect(PythonWords.Adjectives).ShouldBe([]);
        new[] { PythonWords.Nouns, PythonWords.Adjectives, PythonWords.Verbs, PythonWords.Outcomes }.ShouldAllBe(words => words.Distinct().Count() == words.Length);
    }

    [Theory]
    [InlineData("write", "writing")]
    [InlineData("get", "getting")]
    [InlineData("debug", "debugging")]
    [InlineData("read", "reading")]
    public void Gerund_OfAVerb_IsSpeltRight(string verb, string gerund) => PythonWords.Gerund(verb).ShouldBe(gerund);

    [Theory]
    [InlineData("box", "boxes")]
    [InlineData("entry", "entries")]
    [InlineData("day", "days")]
    [InlineData("shelf", "shelves")]
    [InlineData("match", "matches")]
    public void Plural_OfANoun_IsSpeltRight(string noun, string plural) => EnglishPlural.Of(noun).ShouldBe(plural);

    [GeneratedRegex("""["']\)\n""")]
    private static partial Regex ClosedCall();
}
