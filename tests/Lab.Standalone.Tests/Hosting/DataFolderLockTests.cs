using Lab.Standalone.Hosting;

namespace Lab.Standalone.Tests.Hosting;

public sealed class DataFolderLockTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lab-lock-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Take_TakenFolder_NamesTheFolderAndTheWaysOut()
    {
        using var first = DataFolderLock.Take(_folder.FullName);
        first.Publish(new Uri("http://127.0.0.1:5123"));

        CommandException fault = Should.Throw<CommandException>(() => DataFolderLock.Take(_folder.FullName));

        fault.ExitCode.ShouldBe(ExitCode.Failed);
        fault.Message.ShouldContain(_folder.FullName);
        fault.Message.ShouldContain("--data");
        fault.Message.ShouldContain("--gateway http://127.0.0.1:5123");
    }

    [Fact]
    public void Take_AfterDispose_Works()
    {
        DataFolderLock.Take(_folder.FullName).Dispose();

        DataFolderLock.Take(_folder.FullName).Dispose();
    }

    [Fact]
    public void FindGateway_WhileALabWorks_IsItsAddress()
    {
        using var taken = DataFolderLock.Take(_folder.FullName);
        taken.Publish(new Uri("http://127.0.0.1:5123"));

        DataFolderLock.FindGateway(_folder.FullName).ShouldBe(new Uri("http://127.0.0.1:5123"));
    }

    [Fact]
    public void FindGateway_LeftByALabThatDied_IsNull()
    {
        DataFolderLock.Take(_folder.FullName).Dispose();
        File.WriteAllText(Path.Combine(_folder.FullName, "lab.gateway"), "http://127.0.0.1:5123");

        DataFolderLock.FindGateway(_folder.FullName).ShouldBeNull();
    }

    [Fact]
    public void FindGateway_EmptyFolder_IsNull() => DataFolderLock.FindGateway(_folder.FullName).ShouldBeNull();
}
