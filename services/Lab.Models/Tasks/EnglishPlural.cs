namespace Lab.Models.Tasks;

/// <summary>Plurals of the nouns that generated programs use.</summary>
public static class EnglishPlural
{
    /// <summary>"box" as "boxes". Words without a plural become "info_list".</summary>
    public static string Of(string noun)
    {
        ArgumentException.ThrowIfNullOrEmpty(noun);
        if (noun.Length > 1 && noun.EndsWith('y') && !"aeiou".Contains(noun[^2])) return noun[..^1] + "ies";
        if (noun is "leaf" or "shelf") return noun[..^1] + "ves";
        if (noun is "child") return "children";
        if (noun is "series" or "info" or "data") return noun + "_list";
        return noun.EndsWith('s') || noun.EndsWith('x') || noun.EndsWith("ch", StringComparison.Ordinal) || noun.EndsWith("sh", StringComparison.Ordinal)
            ? noun + "es"
            : noun + "s";
    }
}
