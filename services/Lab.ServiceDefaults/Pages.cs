using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Lab.ServiceDefaults.Errors;

namespace Lab.ServiceDefaults;

/// <summary>
/// Cuts lists into pages (https://google.aip.dev/158). A token holds the list's name and the key of the last item of its page, so that
/// items that come or go between two pages shift nothing.
/// </summary>
public static class Pages
{
    private const int DefaultSize = 50;
    private const int MaxSize = 1000;

    /// <summary>The page that a request asks for.</summary>
    /// <param name="list">The list's name, filters included; the tokens of other lists are refused.</param>
    /// <param name="items">All items, in ascending ordinal order of their keys.</param>
    /// <param name="key">The key of an item, unique in the list.</param>
    /// <param name="pageSize">The most to return; 0 means 50, above 1000 means 1000.</param>
    /// <param name="pageToken">The token of the page before, or empty for the first page.</param>
    /// <returns>The page, and the token of the next one: empty at the end.</returns>
    /// <exception cref="InvalidRequestException">The size is negative, or the token is none of this list: field "page_size" or "page_token".</exception>
    public static (IReadOnlyList<T> Items, string NextPageToken) Take<T>(string list, IEnumerable<T> items, Func<T, string> key, int pageSize, string pageToken)
    {
        ArgumentNullException.ThrowIfNull(pageToken);
        if (pageSize < 0) throw new InvalidRequestException("page_size", $"is {pageSize}, but must not be negative.");
        int size = pageSize == 0 ? DefaultSize : Math.Min(pageSize, MaxSize);
        string? after = pageToken.Length == 0 ? null : Parse(pageToken, list);
        T[] page = [.. items.SkipWhile(item => after is not null && string.CompareOrdinal(key(item), after) <= 0).Take(size + 1)];
        string next = page.Length > size ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes($"{list}\n{key(page[size - 1])}")) : "";
        return ([.. page.Take(size)], next);
    }

    /// <summary>A key by which newer items come first, and those of one time by <paramref name="id"/>.</summary>
    /// <param name="createTime">When the item was created.</param>
    /// <param name="id">What tells it from others of the same time.</param>
    public static string NewestFirst(DateTimeOffset createTime, string id) =>
        string.Create(CultureInfo.InvariantCulture, $"{long.MaxValue - createTime.UtcTicks:d19} {id}");

    private static string Parse(string token, string list)
    {
        string text = Base64Url.IsValid(token) ? Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token)) : "";
        return text.StartsWith($"{list}\n", StringComparison.Ordinal)
            ? text[(list.Length + 1)..]
            : throw new InvalidRequestException("page_token", "is not the next_page_token of an earlier response with the same filters.");
    }
}
