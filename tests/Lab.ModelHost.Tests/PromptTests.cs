using Lab.Models;
using Lab.Protos.ModelHost.V1;
using Lab.Testing;
using TorchSharp;
using static Lab.ModelHost.Tests.CallErrors;

namespace Lab.ModelHost.Tests;

/// <summary>Texts and conversations over the wire, on a model with the small tokenizer of each family.</summary>
public sealed class PromptTests : IAsyncLifetime
{
    private readonly HostedLab _lab = new();
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _lab.StartAsync(("ModelHost:ModelFolders:0", _folder.Path));

    public async ValueTask DisposeAsync()
    {
        await _lab.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("llama2", BosPolicy.Unspecified, false)]
    [InlineData("llama2", BosPolicy.Tokenizer, true)]
    [InlineData("llama2", BosPolicy.Always, true)]
    [InlineData("llama2", BosPolicy.Never, false)]
    [InlineData("gpt2", BosPolicy.Tokenizer, false)]
    [InlineData("gpt2", BosPolicy.Always, true)]
    public async Task Tokenize_Text_SaysWhatBecameOfEachPosition(string family, BosPolicy bos, bool isAdded)
    {
        Model model = await LoadAsync(family);
        const string Text = "The 🙂 cat";

        TokenizeResponse response = await _lab.Client.TokenizeAsync(new TokenizeRequest { Model = model.Name, Text = Text, Bos = bos, Chars = { 0, 4, 5, 8 } }, cancellationToken: Ct);

        response.BosAdded.ShouldBe(isAdded);
        (response.Ids[0] == model.Tokenizer.BosId).ShouldBe(isAdded);
        model.Tokenizer.AddsBos.ShouldBe(family == "llama2");
        int first = isAdded ? 1 : 0;
        if (isAdded) (response.CharStarts[0], response.CharEnds[0]).ShouldBe((0, 0));
        response.CharStarts[first].ShouldBe(0);
        response.CharEnds[^1].ShouldBe(9, "code points");
        response.CharTokens.Count.ShouldBe(4);
        foreach ((int position, int token) in new[] { 0, 4, 5, 8 }.Zip(response.CharTokens))
        {
            response.CharStarts[token].ShouldBeLessThanOrEqualTo(position);
            response.CharEnds[token].ShouldBeGreaterThan(position);
            if (token > 0) response.CharEnds[token - 1].ShouldBeLessThanOrEqualTo(position);
        }

        response.Text.ShouldBe("");
        (await _lab.Client.DetokenizeAsync(new DetokenizeRequest { Model = model.Name, Ids = { response.Ids }, SkipSpecialTokens = true }, cancellationToken: Ct)).Text.ShouldBe(Text);
        (await _lab.Client.DetokenizeAsync(new DetokenizeRequest { Model = model.Name, Ids = { response.Ids } }, cancellationToken: Ct)).Text.ShouldEndWith(Text);
    }

    [Theory]
    [InlineData("qwen2", ChatTemplate.Chatml, "<|im_start|>user\nHi 🙂<|im_end|>\n<|im_start|>assistant\n", false)]
    [InlineData("llama3", ChatTemplate.Llama3, "<|start_header_id|>user<|end_header_id|>\n\nHi 🙂<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", true)]
    [InlineData("gemma3", ChatTemplate.Gemma, "<start_of_turn>user\nHi 🙂<end_of_turn>\n<start_of_turn>model\n", true)]
    public async Task Run_Chat_RunsWhatTokenizeShows(string family, ChatTemplate template, string text, bool isAdded)
    {
        Model model = await LoadAsync(family);
        Chats chats = Chats(("user", "Hi 🙂"));

        TokenizeResponse tokens = await _lab.Client.TokenizeAsync(new TokenizeRequest { Model = model.Name, Chats = chats }, cancellationToken: Ct);
        TokenizedRow row = (await _lab.RunAsync(new RunRequest { Model = model.Name, Input = new Input { Chats = chats } })).Started.Rows.ShouldHaveSingleItem();

        model.ChatTemplate.ShouldBe(template);
        (tokens.Text, tokens.BosAdded).ShouldBe((text, isAdded));
        row.ShouldBe(new TokenizedRow { Ids = { tokens.Ids }, CharStarts = { tokens.CharStarts }, CharEnds = { tokens.CharEnds }, Text = text, BosAdded = isAdded });
        row.CharEnds[^1].ShouldBe(text.EnumerateRunes().Count());
    }

    [Fact]
    public async Task Run_RowsOfEachKind_AreToldAsTheyRan()
    {
        Model model = await LoadAsync("llama2");
        int bos = model.Tokenizer.BosId;
        TokenizeResponse tokens = await _lab.Client.TokenizeAsync(new TokenizeRequest { Model = model.Name, Text = "The cat" }, cancellationToken: Ct);
        TokenRows Rows(params IEnumerable<int>[] rows) => new() { Rows = { rows.Select(ids => new TokenRow { Ids = { ids } }) } };

        TokenizedRow text = await RowOf(new Input { Texts = new Texts { Texts_ = { "The cat" } } });
        TokenizedRow plain = await RowOf(new Input { Tokens = Rows(tokens.Ids) });
        TokenizedRow begun = await RowOf(new Input { Tokens = Rows(tokens.Ids), Bos = BosPolicy.Tokenizer });
        TokenizedRow once = await RowOf(new Input { Tokens = Rows([bos, .. tokens.Ids]), Bos = BosPolicy.Always });
        TokenizedRow chat = await RowOf(new Input { Chats = Chats(ChatTemplate.HumanAssistant, ("system", "Be brief."), ("user", "a")) });

        text.Ids.ShouldBe([bos, .. tokens.Ids]);
        text.BosAdded.ShouldBeTrue();
        plain.Ids.ShouldBe(tokens.Ids);
        plain.BosAdded.ShouldBeFalse();
        plain.CharEnds[^1].ShouldBe(" The cat".Length);
        begun.Ids.ShouldBe(text.Ids);
        begun.BosAdded.ShouldBeTrue();
        (begun.CharStarts[1], begun.CharEnds[0]).ShouldBe((0, 0));
        once.Ids.ShouldBe(text.Ids);
        once.BosAdded.ShouldBeFalse();
        once.CharEnds[0].ShouldBe("<s>".Length);
        chat.Text.ShouldBe("Be brief.\n\nHuman: a\n\nAssistant:");
        chat.BosAdded.ShouldBeTrue();

        async Task<TokenizedRow> RowOf(Input input) => (await _lab.RunAsync(new RunRequest { Model = model.Name, Input = input })).Started.Rows.ShouldHaveSingleItem();
    }

    public static TheoryData<string, TokenizeRequest> BadRequests => new()
    {
        { "text", new TokenizeRequest { Text = "a", Chats = Chats(("user", "a")) } },
        { "chats.chats", new TokenizeRequest { Chats = new Chats() } },
        { "chats.chats[0].messages", new TokenizeRequest { Chats = new Chats { Chats_ = { new Chat() } } } },
        { "chats.chats[0].messages[0].role", new TokenizeRequest { Chats = Chats(("robot", "a")) } },
        { "chats.chats[0].messages[1].role", new TokenizeRequest { Chats = Chats(("user", "a"), ("user", "b")) } },
        { "chats.template", new TokenizeRequest { Chats = Chats(ChatTemplate.Chatml, ("user", "a")) } },
        { "chats.template", new TokenizeRequest { Chats = Chats((ChatTemplate)9, ("user", "a")) } },
        { "bos", new TokenizeRequest { Text = "a", Bos = (BosPolicy)9 } },
        { "chars[1]", new TokenizeRequest { Text = "The cat", Chars = { 6, 7 } } },
        { "chars[0]", new TokenizeRequest { Text = "The cat", Chars = { -1 } } },
        { "chars[0]", new TokenizeRequest { Text = "", Chars = { 0 } } },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Tokenize_BadRequest_NamesTheField(string field, TokenizeRequest request)
    {
        request.Model = (await LoadAsync("gemma3")).Name;

        (await ErrorOf(() => _lab.Client.TokenizeAsync(request, cancellationToken: Ct).ResponseAsync)).Field().ShouldBe(field);
    }

    [Fact]
    public async Task Tokenize_WhatTheModelDoesNotHave_IsFailedPrecondition()
    {
        string name = (await LoadAsync("metaspace")).Name;

        (await ErrorOf(() => _lab.Client.TokenizeAsync(new TokenizeRequest { Model = name, Chats = Chats(("user", "a")) }, cancellationToken: Ct).ResponseAsync)).Reason().ShouldBe("NO_CHAT_TEMPLATE");
        (await ErrorOf(() => _lab.Client.TokenizeAsync(new TokenizeRequest { Model = name, Text = "a", Bos = BosPolicy.Always }, cancellationToken: Ct).ResponseAsync)).Reason().ShouldBe("NO_BOS_TOKEN");
    }

    private static Chats Chats(params (string Role, string Content)[] messages) => Chats(ChatTemplate.Unspecified, messages);

    private static Chats Chats(ChatTemplate template, params (string Role, string Content)[] messages) =>
        new() { Template = template, Chats_ = { new Chat { Messages = { messages.Select(message => new ChatMessage { Role = message.Role, Content = message.Content }) } } } };

    /// <summary>A small random model beside the tokenizer of a family.</summary>
    private async Task<Model> LoadAsync(string family)
    {
        string folder = Directory.CreateDirectory(_folder[family]).FullName;
        TransformerConfig config = HostedLab.Config with { DVocab = 700, NCtx = 128 };
        using (torch.Generator generator = new(1))
        using (Transformer transformer = new(config, new TransformerWeights(config, (_, shape) => torch.randn(shape, generator: generator))))
        {
            TransformerCheckpoint.Save(transformer, folder);
        }

        File.Copy(Path.Combine(AppContext.BaseDirectory, "Families", family, "tokenizer.json"), Path.Combine(folder, "tokenizer.json"));
        string? bos = family switch { "llama2" => "<s>", "gpt2" => "<|endoftext|>", "llama3" => "<|begin_of_text|>", "gemma3" => "<bos>", _ => null };
        if (bos is not null) await File.WriteAllTextAsync(Path.Combine(folder, "special_tokens_map.json"), $$"""{"bos_token": "{{bos}}"}""", Ct);
        return await _lab.Client.LoadModelAsync(new LoadModelRequest { Name = $"models/{family}", Folder = folder }, cancellationToken: Ct);
    }
}
