using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

/// <summary>A copy of a family's tokenizer.json that a test may change.</summary>
internal sealed class FamilyFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public FamilyFolder(string family) => File.Copy(Path.Combine(FamilyCase.FolderOf(family), "tokenizer.json"), _folder["tokenizer.json"]);

    public string Json
    {
        get => File.ReadAllText(_folder["tokenizer.json"]);
        set => File.WriteAllText(_folder["tokenizer.json"], value);
    }

    public void Write(string file, string content) => File.WriteAllText(_folder[file], content);

    public void WriteBytes(byte[] json) => File.WriteAllBytes(_folder["tokenizer.json"], json);

    /// <summary>Gives the file zeros at its end, which take no room on disk.</summary>
    public void SetLength(long length)
    {
        using FileStream stream = File.OpenWrite(_folder["tokenizer.json"]);
        stream.SetLength(length);
    }

    /// <summary>Replaces a string that occurs exactly once.</summary>
    public void Replace(string old, string replacement)
    {
        Json.Split(old).Length.ShouldBe(2, old);
        Json = Json.Replace(old, replacement, StringComparison.Ordinal);
    }

    public ITokenizer Load() => TokenizerFolder.Load(_folder.Path).ShouldNotBeNull();

    public void Dispose() => _folder.Dispose();
}
