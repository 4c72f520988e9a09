namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>What the files beside a tokenizer say of it: tokenizer_config.json, special_tokens_map.json and generation_config.json, each optional.</summary>
internal sealed record TokenizerConfig
{
    /// <summary>Whether BOS comes before a text; null leaves that to the post-processor.</summary>
    public bool? AddsBos { get; private init; }

    /// <summary>Whether EOS comes after a text; null leaves that to the post-processor.</summary>
    public bool? AddsEos { get; private init; }

    /// <summary>Whether byte-level BPE puts a space before a text; null leaves that to the pre-tokenizer.</summary>
    public bool? AddsPrefixSpace { get; private init; }

    /// <summary>Tokens by role, such as <c>bos_token</c>.</summary>
    public IReadOnlyDictionary<string, string> Tokens { get; private init; } = new Dictionary<string, string>();

    /// <summary>Ids by role, such as <c>eos_token_id</c>, of which there may be some.</summary>
    public IReadOnlyDictionary<string, int[]> Ids { get; private init; } = new Dictionary<string, int[]>();

    /// <summary>Added tokens that tokenizer_config.json lists.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; private init; } = [];

    /// <summary>The class that Hugging Face reads the tokenizer with, without <c>Fast</c>.</summary>
    public string? TokenizerClass { get; private init; }

    /// <summary>Reads what there is in a folder.</summary>
    /// <exception cref="InvalidDataException">A file is malformed; the message has the JSON path.</exception>
    public static TokenizerConfig Read(string folder)
    {
        var tokens = new Dictionary<string, string>(StringComparer.Ordinal);
        var config = new TokenizerConfig { Tokens = tokens };
        if (Find(folder, "tokenizer_config.json") is { } main)
        {
            ReadTokens(main, tokens);
            config = config with
            {
                AddsBos = main.FlagOrNull("add_bos_token"),
                AddsEos = main.FlagOrNull("add_eos_token"),
                AddsPrefixSpace = main.FlagOrNull("add_prefix_space"),
                TokenizerClass = main.Has("tokenizer_class", out JsonPlace name) ? name.Text.Replace("Fast", "", StringComparison.Ordinal) : null,
                AddedTokens = main.Has("added_tokens_decoder", out JsonPlace added) ? [.. added.Properties.Select(ReadAdded)] : [],
            };
        }

        if (Find(folder, "special_tokens_map.json") is { } map) ReadTokens(map, tokens);
        return Find(folder, "generation_config.json") is not { } generation ? config : config with
        {
            Ids = new[] { "bos_token_id", "eos_token_id", "pad_token_id" }.ToDictionary(role => role, role => ReadIds(generation, role)),
        };
    }

    /// <summary>With a token for the begin and the end of a sequence where the files name none.</summary>
    public TokenizerConfig WithDefaults(string token)
    {
        var tokens = new Dictionary<string, string>(Tokens);
        tokens.TryAdd("bos_token", token);
        tokens.TryAdd("eos_token", token);
        return this with { Tokens = tokens };
    }

    private static JsonPlace? Find(string folder, string file)
    {
        string path = Path.Combine(folder, file);
        return File.Exists(path) ? JsonPlace.Read(path) : null;
    }

    private static void ReadTokens(JsonPlace place, Dictionary<string, string> tokens)
    {
        foreach (string role in new[] { "bos_token", "eos_token", "pad_token", "unk_token" })
        {
            // A token is written as its text, or as an object that has its text.
            if (place.Has(role, out JsonPlace token)) tokens.TryAdd(role, token.Element.ValueKind == System.Text.Json.JsonValueKind.Object ? token.Get("content").Text : token.Text);
        }
    }

    private static AddedToken ReadAdded((string Name, JsonPlace Value) token) =>
        int.TryParse(token.Name, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int id)
            ? AddedToken.Read(token.Value, id)
            : throw token.Value.Error("has no id for a name");

    private static int[] ReadIds(JsonPlace place, string role) =>
        !place.Has(role, out JsonPlace ids) ? [] : ids.Element.ValueKind == System.Text.Json.JsonValueKind.Array ? [.. ids.Items.Select(id => id.Id)] : [ids.Id];
}
