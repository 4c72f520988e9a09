namespace Lab.Models.Statistics;

/// <summary>Where a token of the statistics comes from. Ordered by document, then position, then token.</summary>
/// <param name="Document">The number of the document, or of the row where there are no documents.</param>
/// <param name="Position">The token's place in it, from 0.</param>
/// <param name="TokenId">The token.</param>
public readonly record struct TokenOrigin(long Document, int Position, int TokenId) : IComparable<TokenOrigin>
{
    /// <inheritdoc/>
    public int CompareTo(TokenOrigin other)
    {
        if (Document != other.Document) return Document.CompareTo(other.Document);
        return Position != other.Position ? Position.CompareTo(other.Position) : TokenId.CompareTo(other.TokenId);
    }

    /// <summary>Whether one comes before another.</summary>
    public static bool operator <(TokenOrigin left, TokenOrigin right) => left.CompareTo(right) < 0;

    /// <summary>Whether one comes after another.</summary>
    public static bool operator >(TokenOrigin left, TokenOrigin right) => left.CompareTo(right) > 0;

    /// <summary>Whether one comes before another or is equal to it.</summary>
    public static bool operator <=(TokenOrigin left, TokenOrigin right) => left.CompareTo(right) <= 0;

    /// <summary>Whether one comes after another or is equal to it.</summary>
    public static bool operator >=(TokenOrigin left, TokenOrigin right) => left.CompareTo(right) >= 0;
}
