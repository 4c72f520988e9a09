using System.Buffers.Text;
using System.Text;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Experiments;

/// <summary>Cuts lists into pages. A token is the key of the last item of its page, so that items that come later do not shift pages.</summary>
internal static class Pages
{
    private const int DefaultSize = 50;
    private const int MaxSize = 1000;

    /// <param name="items">All items.</param>
    /// <param name="key">The key of an item. Items are in ascending ordinal order of keys.</param>
    /// <param name="pageSize">As in the request.</param>
    /// <param name="pageToken">As in the request.</param>
    /// <exception cref="InvalidRequestException">The size is negative, or the token is none.</exception>
    public static (IReadOnlyList<T> Items, string NextPageToken) Take<T>(IEnumerable<T> items, Func<T, string> key, int pageSize, string pageToken)
    {
        if (pageSize < 0) throw new InvalidRequestException("page_size", $"is {pageSize}, but must not be negative");
        int size = pageSize == 0 ? DefaultSize : Math.Min(pageSize, MaxSize);
        string? after = pageToken.Length == 0 ? null : Parse(pageToken);
        T[] page = [.. items.SkipWhile(i => after is not null && string.CompareOrdinal(key(i), after) <= 0).Take(size + 1)];
        string next = page.Length > size ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes(key(page[size - 1]))) : "";
        return ([.. page.Take(size)], next);
    }

    private static string Parse(string token) =>
        Base64Url.IsValid(token) ? Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token))
            : throw new InvalidRequestException("page_token", "is not the next_page_token of an earlier response");
}
