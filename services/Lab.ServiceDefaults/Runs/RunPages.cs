using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Google.Protobuf;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ServiceDefaults.Runs;

/// <summary>Lists runs newest first. A token is the place of the last run of its page, so runs created later do not shift pages.</summary>
internal static class RunPages
{
    private const int DefaultSize = 50;
    private const int MaxSize = 1000;

    public static (IReadOnlyList<TRun> Runs, string NextPageToken) Take<TRun>(IEnumerable<RunEntry<TRun>> entries, int pageSize, string pageToken)
        where TRun : class, IRunResource, IMessage<TRun>, new()
    {
        if (pageSize < 0) throw new InvalidRequestException("page_size", $"is {pageSize}, but must not be negative.");
        int size = pageSize == 0 ? DefaultSize : Math.Min(pageSize, MaxSize);
        Place? after = pageToken.Length == 0 ? null : Parse(pageToken);
        RunEntry<TRun>[] page =
        [
            .. entries.OrderBy(PlaceOf).SkipWhile(e => after is { } place && PlaceOf(e).CompareTo(place) <= 0).Take(size + 1),
        ];
        string next = page.Length > size ? Format(PlaceOf(page[size - 1])) : "";
        return ([.. page.Take(size).Select(e => e.Snapshot())], next);
    }

    private static Place PlaceOf<TRun>(RunEntry<TRun> entry)
        where TRun : class, IRunResource, IMessage<TRun>, new() => new(entry.CreateTime.ToDateTimeOffset().UtcTicks, entry.Id);

    private static string Format(Place place) =>
        Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{place.Ticks} {place.Id}")));

    private static Place Parse(string token)
    {
        if (Base64Url.IsValid(token)
            && Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token)).Split(' ') is [string ticks, string id]
            && long.TryParse(ticks, NumberStyles.None, CultureInfo.InvariantCulture, out long parsed))
            return new Place(parsed, id);
        throw new InvalidRequestException("page_token", "is not the next_page_token of an earlier response.");
    }

    private readonly record struct Place(long Ticks, string Id) : IComparable<Place>
    {
        public int CompareTo(Place other) => Ticks != other.Ticks ? other.Ticks.CompareTo(Ticks) : string.CompareOrdinal(Id, other.Id);
    }
}
