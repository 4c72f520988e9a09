using System.Text.Json;

namespace Lab.Models.Tests.Tokenizers.HuggingFace;

/// <summary>
/// A text and what Hugging Face's own tokenizers (npm package tokenizers 0.23.2) made of it with the small tokenizer.json of a
/// family; both are written by Tokenizers/Families/make.mjs.
/// </summary>
internal sealed record FamilyCase(string Text, int[] Ids, int[] Spans, string Decoded, string Skipped)
{
    private static readonly JsonSerializerOptions _json = new() { PropertyNameCaseInsensitive = true };

    public static readonly string[] Families = ["gpt2", "llama2", "llama3", "mistral", "tekken", "qwen2", "gemma3", "flags", "metaspace"];

    public static string FolderOf(string family) => Path.Combine(AppContext.BaseDirectory, "Tokenizers", "Families", family);

    public static FamilyCase[] Read(string family) => JsonSerializer.Deserialize<FamilyCase[]>(File.ReadAllBytes(Path.Combine(FolderOf(family), "expected.json")), _json)!;
}
