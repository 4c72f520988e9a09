using System.Text;
using Lab.Models.Tokenizers;
using Lab.Models.Tokenizers.HuggingFace;
using Lab.Testing;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

public sealed class TokenizerJsonTests
{
    [Theory]
    [InlineData("gpt2", "\"type\":\"BPE\"", "\"type\":\"Unigram\"", "$.model.type is 'Unigram'")]
    [InlineData("gpt2", "\"type\":\"BPE\"", "\"type\":\"WordPiece\"", "$.model.type is 'WordPiece'")]
    [InlineData("gpt2", "\"dropout\":null", "\"dropout\":0.1", "$.model.dropout")]
    [InlineData("gpt2", "\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "$.model.end_of_word_suffix is '</w>'")]
    [InlineData("gpt2", "\"unk_token\":null", "\"unk_token\":\"<none>\"", "$.model.unk_token is '<none>'")]
    [InlineData("gpt2", "\"ignore_merges\":false", "\"ignore_merges\":1", "$.model.ignore_merges is neither")]
    [InlineData("gpt2", "\"!\":33", "\"!\":\"33\"", "$.model.vocab['!'] is not a token id")]
    [InlineData("gpt2", "\"!\":33", "\"!\":34", "is 34, as another token's id is")]
    [InlineData("gpt2", "\"!\":33", "\"!\":33,\"!\":100000", "stands there twice")]
    [InlineData("gpt2", "\"!\":33", "\"!\":2000000000", "id 2000000000")]
    [InlineData("gpt2", "\"merges\":[", "\"merges\":[\"nothing\",", "$.model.merges[0] is not two tokens")]
    [InlineData("gpt2", "\"merges\":[", "\"merges\":[\"a nosuch\",", "$.model.merges[0] joins 'a' and 'nosuch'")]
    [InlineData("llama3", "\"merges\":[", "\"merges\":[[\"a\"],", "$.model.merges[0] is not a pair")]
    [InlineData("llama3", "\"merges\":[", "\"merges\":[[\"a\",\"b\",\"c\"],", "$.model.merges[0] is not a pair")]
    [InlineData("llama3", "\"merges\":[", "\"merges\":[7,", "$.model.merges[0] is not a pair")]
    [InlineData("gpt2", "\"normalizer\":null", "\"normalizer\":{\"type\":\"BertNormalizer\"}", "$.normalizer.type is 'BertNormalizer'")]
    [InlineData("llama2", "\"type\":\"Prepend\"", "\"type\":\"NFKD\"", "$.normalizer.normalizers[0].type is 'NFKD'")]
    [InlineData("llama2", "\"prepend\":\"▁\"", "\"prepend\":5", "$.normalizer.normalizers[0].prepend is not a string")]
    [InlineData("qwen2", "\"pretokenizers\":[", "\"pretokenizers\":[{\"type\":\"Whitespace\"},", "$.pre_tokenizer.pretokenizers[0].type is 'Whitespace'")]
    [InlineData("qwen2", "\"pretokenizers\":[", "\"pretokenizers\":[{\"type\":\"ByteLevel\"},", "$.pre_tokenizer.pretokenizers[0] is 'ByteLevel'")]
    [InlineData("qwen2", "\"behavior\":\"Isolated\"", "\"behavior\":\"Other\"", "$.pre_tokenizer.pretokenizers[0].behavior is 'Other'")]
    [InlineData("qwen2", "\"pattern\":{\"Regex\":\"", "\"pattern\":{\"Regex\":\"((", "$.pre_tokenizer.pretokenizers[0].pattern.Regex is not supported")]
    [InlineData("mistral", "\"prepend_scheme\":\"first\"", "\"prepend_scheme\":\"last\"", "$.pre_tokenizer.prepend_scheme is 'last'")]
    [InlineData("llama2", "\"type\":\"Fuse\"", "\"type\":\"CTC\"", "$.decoder.decoders[2].type is 'CTC'")]
    [InlineData("llama2", "\"type\":\"TemplateProcessing\"", "\"type\":\"BertProcessing\"", "$.post_processor.type is 'BertProcessing'")]
    [InlineData("llama2", "\"SpecialToken\":{\"id\":\"<s>\"", "\"SpecialToken\":{\"id\":\"<x>\"", "$.post_processor.single[0].SpecialToken.id is '<x>'")]
    [InlineData("llama2", "\"ids\":[1]", "\"ids\":[100000]", "$.post_processor adds token 100000")]
    [InlineData("qwen2", "\"added_tokens\":[", "\"added_tokens\":[{\"content\":\"x\"},", "$.added_tokens[0] has no 'id'")]
    [InlineData("qwen2", "\"added_tokens\":[", "\"added_tokens\":[{\"id\":0,\"content\":\"a\"},", "$.added_tokens[0].id is 0, but the vocabulary has 'a'")]
    [InlineData("qwen2", "\"version\":\"1.0\"", "\"model\":[]", "$.model is not an object")]
    [InlineData("llama2", "\"prepend\":\"▁\"", "\"\\ud800\":5", "$.normalizer.normalizers[0] has a name that is not valid Unicode")]
    [InlineData("llama2", "\"SpecialToken\":{\"id\":\"<s>\"", "\"SpecialToken\":{\"\\udc00\":\"<s>\"", "$.post_processor.single[0].SpecialToken has a name that is not valid Unicode")]
    [InlineData("qwen2", "\"version\":\"1.0\"", "\"version\":\"\\ud800\",\"normalizer\":{\"type\":\"\\ud800\"}", "")]
    public void Load_UnsupportedOrMalformed_SaysWhere(string family, string old, string replacement, string message)
    {
        using var folder = new FamilyFolder(family);
        string json = folder.Json;
        int at = json.IndexOf(old, StringComparison.Ordinal);
        at.ShouldBeGreaterThanOrEqualTo(0);
        folder.Json = json[..at] + replacement + json[(at + old.Length)..];
        if (message.Length == 0)
        {
            // A later property of the same name counts, so this one only must be read past.
            _ = folder.Load();
            return;
        }

        string error = Should.Throw<InvalidDataException>(folder.Load).Message;

        error.ShouldContain(message);
        if (!error.Contains("has the id", StringComparison.Ordinal)) error.ShouldStartWith("tokenizer.json: $.");
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("{\"model\": null}")]
    [InlineData("{\"model\": {}}")]
    [InlineData("{\"model\": {\"vocab\": {}, \"merges\": []}}")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}}")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}} {}")]
    public void Load_NoTokenizer_IsInvalidData(string json)
    {
        using var folder = new FamilyFolder("gpt2") { Json = json };

        Should.Throw<InvalidDataException>(folder.Load).Message.ShouldContain("tokenizer.json");
    }

    [Fact]
    public void Load_FileLargerThanAnyTokenizer_IsNotRead()
    {
        using var folder = new FamilyFolder("gpt2");
        folder.SetLength(TokenizerJson.MaxBytes + 1L);

        (InvalidDataException? refusal, long allocated) = Mutants.Try(() => folder.Load());

        refusal.ShouldNotBeNull().Message.ShouldBe($"tokenizer.json has {TokenizerJson.MaxBytes + 1L} bytes; at most {TokenizerJson.MaxBytes} are allowed.");
        allocated.ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void Load_NamesThatAreNoUnicodeInFilesBeside_AreInvalidData()
    {
        using var folder = new FamilyFolder("gpt2");
        foreach (string file in new[] { "tokenizer_config.json", "special_tokens_map.json", "generation_config.json" })
        {
            folder.Write(file, """{"\ud800 and some more text": 1}""");
            Should.Throw<InvalidDataException>(folder.Load).Message.ShouldBe($"{file}: $ has a name that is not valid Unicode.");
            folder.Write(file, "{}");
        }

        folder.Write("tokenizer_config.json", """{"added_tokens_decoder": {"\ud800": {}}}""");
        Should.Throw<InvalidDataException>(folder.Load).Message.ShouldBe("tokenizer_config.json: $.added_tokens_decoder has a name that is not valid Unicode.");
    }

    [Fact]
    public void Load_MergesBeforeTheVocabulary_EncodesAlike()
    {
        using var folder = new FamilyFolder("mistral");
        TokenizedText expected = folder.Load().Encode(SampleText.Python, EncodeOptions.Default);
        string json = folder.Json;
        int merges = json.IndexOf(",\"merges\":", StringComparison.Ordinal);
        int vocabulary = json.IndexOf("\"vocab\":", StringComparison.Ordinal);
        int end = json.LastIndexOf("]]", StringComparison.Ordinal) + 2;
        folder.Json = json[..vocabulary] + json[(merges + 1)..end] + "," + json[vocabulary..merges] + json[end..];

        folder.Load().Encode(SampleText.Python, EncodeOptions.Default).Ids.ShouldBe(expected.Ids);
    }

    [Fact]
    public void Load_MutatedFiles_LoadOrAreInvalidData()
    {
        int failed = 0;
        var random = new Random(1);
        foreach (string family in FamilyCase.Families)
        {
            using var folder = new FamilyFolder(family);
            byte[] original = Encoding.UTF8.GetBytes(folder.Json);
            for (int i = 0; i < 60; i++)
            {
                byte[] mutated = [.. original];
                for (int edits = random.Next(1, 4); edits > 0; edits--) mutated[random.Next(mutated.Length)] = (byte)(random.Next(3) == 0 ? random.Next(256) : "{}[],:\"0123\\au"[random.Next(14)]);
                if (i % 6 == 0) mutated = mutated[..random.Next(mutated.Length)];
                folder.WriteBytes(mutated);
                try
                {
                    _ = folder.Load().Encode("The cat <s> 1", EncodeOptions.Default);
                }
                catch (Exception e) when (e is InvalidDataException or ArgumentException { ParamName: "text" })
                {
                    failed++;
                }
            }
        }

        failed.ShouldBeGreaterThan(100);
    }
}
