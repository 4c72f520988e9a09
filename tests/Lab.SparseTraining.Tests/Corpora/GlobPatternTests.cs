using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class GlobPatternTests
{
    [Theory]
    [InlineData("**/*.py", "a.py", true)]
    [InlineData("**/*.py", "x/y/a.py", true)]
    [InlineData("**/*.py", "a.pyc", false)]
    [InlineData("**/*.py", "x/apy", false)]
    [InlineData("*.py", "x/a.py", false)]
    [InlineData("src/**/test_?.py", "src/test_1.py", true)]
    [InlineData("src/**/test_?.py", "src/a/b/test_1.py", true)]
    [InlineData("src/**/test_?.py", "src/a/test_10.py", false)]
    [InlineData("src/**", "src/a/b.txt", true)]
    [InlineData("src/**", "lib/a.txt", false)]
    [InlineData("a+(b).txt", "a+(b).txt", true)]
    [InlineData("*.PY", "a.py", false)]
    public void IsMatch_Path_FollowsThePattern(string pattern, string path, bool expected) =>
        new GlobPattern(pattern, "field").IsMatch(path).ShouldBe(expected);

    [Theory]
    [InlineData("")]
    [InlineData("/etc/*")]
    [InlineData("../*.py")]
    [InlineData("a\\b")]
    [InlineData("./*.py")]
    [InlineData("a/./b.py")]
    [InlineData("a//b.py")]
    [InlineData("build/")]
    public void Constructor_NotARelativePattern_NamesTheField(string pattern) =>
        Should.Throw<ArgumentException>(() => new GlobPattern(pattern, "config.folder.patterns")).ParamName.ShouldBe("config.folder.patterns");
}
