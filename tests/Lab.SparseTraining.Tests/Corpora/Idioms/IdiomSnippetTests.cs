using Lab.Models.Tasks;
using Lab.SparseTraining.Corpora.Idioms;

namespace Lab.SparseTraining.Tests.Corpora.Idioms;

public sealed class IdiomSnippetTests
{
    [Theory]
    [InlineData("total = 3\nprint(total)\n", "total", false)]
    [InlineData("print(total)\n", "total", true)]
    [InlineData("total = total + 1\n", "total", true)]
    [InlineData("total += 1\n", "total", true)]
    [InlineData("for item in total:\n    print(item)\n", "total", true)]
    [InlineData("for item in total:\n    print(item)\n", "item", false)]
    [InlineData("for i, item in enumerate(total):\n    print(item)\n", "item", false)]
    [InlineData("with open(path) as total:\n    pass\n", "path", true)]
    [InlineData("with open(path) as total:\n    pass\n", "total", false)]
    [InlineData("key = lambda total: total\n", "total", false)]
    [InlineData("first, total = total, first\n", "total", true)]
    [InlineData("first, total = 1, 2\n", "total", false)]
    [InlineData("def find(total):\n    return total\n", "total", false)]
    [InlineData("if total == 3:\n    x = 1\n", "total", true)]
    [InlineData("subtotal = 3\nprint(total)\n", "total", true)]
    public void Of_AName_IsFreeWhereItIsUsedBeforeItHasAValue(string program, string name, bool isFree)
    {
        var prompt = new PythonPrompt("", program, "", "");

        IdiomSnippet snippet = IdiomSnippet.Of(new PromptPair(prompt, prompt, [name, "absent"]), isFirst: true);

        snippet.FreeNames.ShouldBe(isFree ? [name] : []);
        snippet.OtherNames.ShouldBe(isFree ? [] : [name]);
    }
}
