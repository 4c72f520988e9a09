namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>A token that is found in the text before anything is split or merged.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="IsSpecial">Whether it stands for no text, and is found only where special tokens are parsed.</param>
/// <param name="IsSingleWord">Whether it must not touch letters or digits.</param>
/// <param name="StripsLeft">Whether it swallows white space before it.</param>
/// <param name="StripsRight">Whether it swallows white space after it.</param>
/// <param name="IsNormalized">Whether it is looked for in the normalized text.</param>
internal sealed record AddedToken(int Id, string Content, bool IsSpecial, bool IsSingleWord = false, bool StripsLeft = false, bool StripsRight = false, bool IsNormalized = false)
{
    /// <summary>What chat templates mark turns with: special even in files that forget to say so, or a message could end its own turn.</summary>
    private static readonly HashSet<string> _markers = new(StringComparer.Ordinal)
    {
        "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|begin_of_text|>", "<|end_of_text|>", "<|endoftext|>",
        "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "[INST]", "[/INST]",
    };

    /// <summary>Reads one of <c>added_tokens</c>.</summary>
    public static AddedToken Read(JsonPlace token, int id)
    {
        string content = token.Get("content").Text;
        bool isSpecial = token.Flag("special") || _markers.Contains(content);
        return new AddedToken(id, content, isSpecial, token.Flag("single_word"), token.Flag("lstrip"), token.Flag("rstrip"), token.Flag("normalized", absent: !isSpecial));
    }
}
