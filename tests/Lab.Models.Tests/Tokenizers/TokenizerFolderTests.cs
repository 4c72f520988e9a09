using Lab.Models.Tests.Tokenizers.HuggingFace;
using Lab.Models.Tokenizers;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers;

public sealed class TokenizerFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_FolderWithoutATokenizer_IsNull()
    {
        File.WriteAllText(_folder["config.json"], "{}");
        File.WriteAllText(_folder["beeg_config.json"], """{"tokenizer_name": "tinypython_2k"}""");

        TokenizerFolder.Load(_folder.Path).ShouldBeNull();
    }

    [Theory]
    [InlineData("vocab.json", "merges.txt")]
    [InlineData("encoder.json", "vocab.bpe")]
    public void Load_FilesOfGpt2_SplitAsItsTokenizerJson(string vocabulary, string merges)
    {
        ITokenizer expected = TokenizerFolder.Load(FamilyCase.FolderOf("gpt2")).ShouldNotBeNull();
        WriteGpt2(vocabulary, merges);

        ITokenizer tokenizer = TokenizerFolder.Load(_folder.Path).ShouldNotBeNull();

        foreach (FamilyCase example in FamilyCase.Read("gpt2"))
        {
            tokenizer.Encode(example.Text, EncodeOptions.Default).Ids.ShouldBe(expected.Encode(example.Text, EncodeOptions.Default).Ids, example.Text);
        }

        tokenizer.SpecialTokens.Bos.ShouldBe(tokenizer.VocabSize - 1);
        tokenizer.SpecialTokens.Eos.ShouldBe(tokenizer.VocabSize - 1);
        tokenizer.Encode("<|endoftext|>", new EncodeOptions { ParseSpecial = true }).Ids.ShouldBe([tokenizer.VocabSize - 1]);
    }

    [Fact]
    public void Load_FilesBesideBeegConfig_SplitAsTinyPython()
    {
        WriteGpt2("vocab.json", "merges.txt");
        File.WriteAllText(_folder["beeg_config.json"], "{}");

        ITokenizer tokenizer = TokenizerFolder.Load(_folder.Path).ShouldNotBeNull();

        // GPT-2 keeps the digits together; tinypython_2k takes three at a time.
        tokenizer.Encode("1234", EncodeOptions.Default).Ids.ShouldBe([.. tokenizer.Encode("123", EncodeOptions.Default).Ids, .. tokenizer.Encode("4", EncodeOptions.Default).Ids]);
    }

    [Theory]
    [InlineData("""{"n_layer": 1, "d_model": 8}""")]
    [InlineData("""{"model_type": "lab", "d_model": 8}""")]
    public void Load_FilesOfThisLab_IsALabTokenizer(string config)
    {
        LabTokenizer lab = BpeTrainer.Train([SampleText.Python], 300, TestContext.Current.CancellationToken);
        lab.Save(_folder.Path);
        File.WriteAllText(_folder["config.json"], config);

        TokenizerFolder.Load(_folder.Path).ShouldBeOfType<LabTokenizer>();
    }

    [Theory]
    [InlineData("vocab.json", "[]", "vocab.json: $ is not an object")]
    [InlineData("vocab.json", "{", "vocab.json is not a JSON object")]
    [InlineData("vocab.json", "{}", "vocab.json has no tokens")]
    [InlineData("merges.txt", "#version: 0.2\na b c\n", "merges.txt: line 2")]
    [InlineData("merges.txt", "#version: 0.2\nxyz\n", "merges.txt: line 2")]
    [InlineData("tokenizer_config.json", "{", "tokenizer_config.json is not JSON")]
    [InlineData("tokenizer_config.json", "{\"add_bos_token\": 1}", "tokenizer_config.json: $.add_bos_token")]
    [InlineData("tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", "tokenizer_config.json: $.added_tokens_decoder.x")]
    [InlineData("generation_config.json", "{\"eos_token_id\": [1, \"2\"]}", "generation_config.json: $.eos_token_id[1]")]
    [InlineData("special_tokens_map.json", "{\"bos_token\": {}}", "special_tokens_map.json: $.bos_token has no 'content'")]
    public void Load_MalformedFile_SaysWhere(string file, string content, string message)
    {
        WriteGpt2("vocab.json", "merges.txt");
        File.WriteAllText(_folder[file], content);

        Should.Throw<InvalidDataException>(() => TokenizerFolder.Load(_folder.Path)).Message.ShouldContain(message);
    }

    [Fact]
    public void Load_FilesBesideTokenizerJson_SayRolesAndRules()
    {
        using var folder = new FamilyFolder("llama2");
        folder.Write("tokenizer_config.json", """{"add_bos_token": false, "add_eos_token": true, "bos_token": "<s>", "added_tokens_decoder": {"900": {"content": "<pad>", "special": true}}, "pad_token": "<pad>", "tokenizer_class": "LlamaTokenizerFast"}""");
        folder.Write("special_tokens_map.json", """{"eos_token": {"content": "</s>"}, "bos_token": "</s>"}""");
        folder.Write("generation_config.json", """{"eos_token_id": [2, 5], "pad_token_id": 0}""");

        ITokenizer tokenizer = folder.Load();
        TokenizedText encoded = tokenizer.Encode("a<pad>", new EncodeOptions { ParseSpecial = true });

        (tokenizer.SpecialTokens.Bos, tokenizer.SpecialTokens.Eos, tokenizer.SpecialTokens.Pad, tokenizer.SpecialTokens.Unknown).ShouldBe((1, 2, 900, 0));
        tokenizer.SpecialTokens.Stops.ShouldBe([2, 5]);
        tokenizer.VocabSize.ShouldBe(901);
        encoded.Ids[^2..].ShouldBe([900, 2]);
        (encoded.Bos, encoded.EosAdded).ShouldBe((BosState.Absent, true));
        tokenizer.TokenText(899).ShouldBe("");
    }

    [Fact]
    public void Load_PrefixSpaceByTokenizerConfig_CountsBeforeTheFile()
    {
        using var folder = new FamilyFolder("gpt2");
        int[] expected = folder.Load().Encode(" the", EncodeOptions.Default).Ids;
        folder.Write("tokenizer_config.json", """{"add_prefix_space": true}""");

        folder.Load().Encode("the", EncodeOptions.Default).Ids.ShouldBe(expected);
    }

    private void WriteGpt2(string vocabulary, string merges)
    {
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Path.Combine(FamilyCase.FolderOf("gpt2"), "tokenizer.json")));
        System.Text.Json.JsonElement model = json.RootElement.GetProperty("model");
        string tokens = model.GetProperty("vocab").GetRawText();
        int size = model.GetProperty("vocab").EnumerateObject().Count();
        File.WriteAllText(_folder[vocabulary], $"{tokens[..^1]},\"<|endoftext|>\":{size}}}");
        File.WriteAllLines(_folder[merges], model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!).Prepend("#version: 0.2"));
    }
}
