using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class PythonStandardLibraryTests : IDisposable
{
    private readonly CorpusFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Find_NoInterpreter_TakesTheNewestLibraryOfTheUsualFolders()
    {
        _folder.Add("python3/dist-packages/x.py", "x").Add("python3.9/os.py", "x").Add("python3.12/os.py", "x").Add("python3.13/no-library.py", "x");

        (await Library().FindAsync(TestContext.Current.CancellationToken)).ShouldBe(Path.Combine(_folder.Source, "python3.12"));
    }

    [Fact]
    public async Task Find_InterpreterWithoutAnAnswer_IsPassedOver()
    {
        _folder.Add("python3.9/os.py", "x");

        // "true" says nothing, "false" fails and "echo" names no folder.
        string? found = await new PythonStandardLibrary(["true", "false", "echo", "no-such-program"], [_folder.Source]).FindAsync(TestContext.Current.CancellationToken);

        found.ShouldBe(Path.Combine(_folder.Source, "python3.9"));
    }

    [Fact]
    public async Task Build_StandardLibrary_LeavesOutTestsPackagesAndTables()
    {
        _folder.Add("python3.9/os.py", "import sys\n").Add("python3.9/json/decoder.py", "import re\n").Add("python3.9/unittest/case.py", "import os\n");
        foreach (string excluded in PythonStandardLibrary.ExcludedFolders) _folder.Add($"python3.9/{excluded}/x.py", "wrong\n").Add($"python3.9/json/{excluded}/y.py", "wrong too\n");

        (CorpusSummary summary, string output) = await _folder.BuildAsync(Config(), Library());

        CorpusFolder.Documents(output).Order().ShouldBe(["import os\n", "import re\n", "import sys\n"]);
        summary.Info.Source.ShouldBe("python_standard_library");
        summary.SourceDescription.ShouldStartWith($"the Python standard library in {Path.Combine(_folder.Source, "python3.9")}");
    }

    [Fact]
    public async Task Build_NoPythonOnTheMachine_GeneratesAndSaysSo()
    {
        (CorpusSummary summary, _) = await _folder.BuildAsync(Config() with { MaxBytes = 20_000 }, new PythonStandardLibrary(["no-such-program"], ["/no/such/folder"]));

        summary.Info.Source.ShouldBe("generated");
        summary.Info.Bytes.ShouldBeInRange(19_000, 20_000);
        summary.SourceDescription.ShouldEndWith("because no Python standard library was found on this machine");
    }

    private static CorpusConfig Config() => new() { Source = new PythonStandardLibrarySource(), VocabSize = 300 };

    private PythonStandardLibrary Library() => new(["no-such-program"], ["/no/such/folder", _folder.Source]);
}
