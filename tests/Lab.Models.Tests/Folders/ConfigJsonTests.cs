using Lab.Models.Folders;
using Lab.Testing;

namespace Lab.Models.Tests.Folders;

public sealed class ConfigJsonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"\ud800 and some more text": 1}""")]
    [InlineData("""{"model_type": "\udc00"}""")]
    [InlineData("""{"architectures": ["\ud800"]}""")]
    public void Read_TextThatIsNoUnicode_IsInvalidData(string json)
    {
        string path = _folder["config.json"];
        File.WriteAllText(path, json);

        Should.Throw<InvalidDataException>(() =>
        {
            ConfigJson config = ConfigJson.Read(path);
            _ = (config.HasField("n_layer"), config.Text("model_type"), config.Texts("architectures"));
        }).Message.ShouldStartWith(path);
    }
}
