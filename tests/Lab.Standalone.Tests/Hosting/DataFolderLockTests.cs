using Lab.Standalone.Hosting;
using Lab.Testing;

namespace Lab.Standalone.Tests.Hosting;

public sealed class DataFolderLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Take_TakenFolder_NamesTheFolderAndTheWaysOut()
    {
        using var first = DataFolderLock.Take(_folder.Path);
        first.Publish(new Uri("http://127.0.0.1:5123"));

        CommandException fault = Should.Throw<CommandException>(() => DataFolderLock.Take(_folder.Path));

        fault.ExitCode.ShouldBe(ExitCode.Failed);
        fault.Message.ShouldContain(_folder.Path);
        fault.Message.ShouldContain("--data");
        fault.Message.ShouldContain("--gateway http://127.0.0.1:5123");
    }

    [Fact]
    public void Take_AfterDispose_Works()
    {
        DataFolderLock.Take(_folder.Path).Dispose();

        DataFolderLock.Take(_folder.Path).Dispose();
    }

    [Fact]
    public void FindGateway_WhileALabWorks_IsItsAddress()
    {
        using var taken = DataFolderLock.Take(_folder.Path);
        taken.Publish(new Uri("http://127.0.0.1:5123"));

        DataFolderLock.FindGateway(_folder.Path).ShouldBe(new Uri("http://127.0.0.1:5123"));
    }

    [Fact]
    public void FindGateway_LeftByALabThatDied_IsNull()
    {
        DataFolderLock.Take(_folder.Path).Dispose();
        File.WriteAllText(_folder["lab.gateway"], "http://127.0.0.1:5123");

        DataFolderLock.FindGateway(_folder.Path).ShouldBeNull();
    }

    [Fact]
    public void FindGateway_EmptyFolder_IsNull() => DataFolderLock.FindGateway(_folder.Path).ShouldBeNull();
}
