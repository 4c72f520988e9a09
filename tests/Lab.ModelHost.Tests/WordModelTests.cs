using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using static TorchSharp.torch;

namespace Lab.ModelHost.Tests;

public sealed class WordModelTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private const string Name = "models/words";

    [Fact]
    public async Task Tokenize_StoredModelWithWords_UsesThem()
    {
        WordTokenizer tokenizer = WordVocabulary.Train(["tell me about dust"], 20, TestContext.Current.CancellationToken);
        TransformerConfig config = HostedLab.Config with { DVocab = tokenizer.VocabSize };
        using Generator generator = new(1);
        using Transformer transformer = new(config, new TransformerWeights(config, (_, shape) => randn(shape, generator: generator)));
        StoredArtifact artifact = await lab.Store.PutAsync(
            "model",
            new ArtifactProvenance("tests", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                TransformerCheckpoint.Save(transformer, folder);
                tokenizer.Save(folder);
                return Task.CompletedTask;
            },
            TestContext.Current.CancellationToken);
        await lab.Store.SetNameAsync(Name, artifact.Digest, TestContext.Current.CancellationToken);
        await lab.Client.LoadModelAsync(new LoadModelRequest { Name = Name }, cancellationToken: TestContext.Current.CancellationToken);

        TokenizeResponse tokens = await lab.Client.TokenizeAsync(new TokenizeRequest { Model = Name, Text = "tell me about snow" }, cancellationToken: TestContext.Current.CancellationToken);

        tokens.Ids.ShouldBe([.. new[] { "tell", "me", "about" }.Select(word => tokenizer.IdOf(word)!.Value), WordTokenizer.Unknown]);
        tokens.CharStarts.ShouldBe([0, 4, 7, 13]);
        tokens.CharEnds.ShouldBe([4, 7, 13, 18]);

        var chat = new Chat { Messages = { new ChatMessage { Role = "user", Content = "tell dust" } } };
        TokenizeResponse turns = await lab.Client.TokenizeAsync(new TokenizeRequest { Model = Name, Chats = new Chats { Chats_ = { chat } } }, cancellationToken: TestContext.Current.CancellationToken);
        turns.Tokens.ShouldBe(["<|user|>", " tell", " dust", "<|end|>", "<|assistant|>"]);
    }
}
