using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Lab.Artifacts;
using Lab.Protos.Artifact.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Artifacts;

/// <summary>
/// Pages of artifacts, newest first. A token holds the kind that was asked for and the place of its page's last artifact, so that
/// artifacts stored later shift nothing.
/// </summary>
internal static class ArtifactPages
{
    private const int DefaultSize = 50;
    private const int MaxSize = 1000;

    public static Request Parse(ListArtifactsRequest request)
    {
        if (request.PageSize < 0) throw new InvalidRequestException("page_size", $"is {request.PageSize}, but must not be negative.");
        int size = request.PageSize == 0 ? DefaultSize : Math.Min(request.PageSize, MaxSize);
        return new Request(size, request.Kind, request.PageToken.Length == 0 ? null : Read(request.PageToken, request.Kind));
    }

    private static Place Read(string token, string kind)
    {
        if (!Base64Url.IsValid(token)
            || Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token)).Split(' ') is not [string ticks, string digest, string ofKind]
            || !long.TryParse(ticks, NumberStyles.None, CultureInfo.InvariantCulture, out long parsed))
            throw new InvalidRequestException("page_token", "is not the next_page_token of an earlier response.");
        return ofKind == kind
            ? new Place(parsed, digest)
            : throw new InvalidRequestException("page_token", $"belongs to a list of kind '{ofKind}'.");
    }

    internal sealed record Request(int Size, string Kind, Place? After)
    {
        public (IEnumerable<StoredArtifact> Artifacts, string NextPageToken) Take(IEnumerable<StoredArtifact> newestFirst)
        {
            StoredArtifact[] page = [.. newestFirst.SkipWhile(artifact => After is Place after && Place.Of(artifact).CompareTo(after) <= 0).Take(Size + 1)];
            return (page.Take(Size), page.Length > Size ? Write(Place.Of(page[Size - 1])) : "");
        }

        private string Write(Place last) =>
            Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{last.Ticks} {last.Digest} {Kind}")));
    }

    /// <summary>A place in the order of the list: newest first, then by digest.</summary>
    internal readonly record struct Place(long Ticks, string Digest) : IComparable<Place>
    {
        public static Place Of(StoredArtifact artifact) => new(artifact.CreateTime.UtcTicks, artifact.Digest);

        public int CompareTo(Place other) => Ticks != other.Ticks ? other.Ticks.CompareTo(Ticks) : string.CompareOrdinal(Digest, other.Digest);
    }
}
