namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>A token and how many bytes, in UTF-8, of the text it stands for.</summary>
internal readonly record struct BpeSymbol(int Id, int Bytes);
