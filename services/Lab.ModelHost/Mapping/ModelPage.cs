using System.Text;
using Lab.ModelHost.Residents;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Mapping;

/// <summary>Pages of the list of models. A token holds the last name of its page, so that loads and unloads between pages shift nothing.</summary>
internal static class ModelPage
{
    private const int DefaultSize = 50;
    private const int MaxSize = 1000;

    /// <summary>The page that a request asks for.</summary>
    /// <param name="models">All models, by name.</param>
    /// <param name="request">The request.</param>
    public static ListModelsResponse Of(IReadOnlyList<ResidentModel> models, ListModelsRequest request)
    {
        if (request.PageSize < 0) throw new InvalidRequestException("page_size", "It must not be negative.");
        int size = request.PageSize == 0 ? DefaultSize : Math.Min(request.PageSize, MaxSize);
        string after = Decode(request.PageToken);
        ResidentModel[] rest = [.. models.Where(model => string.CompareOrdinal(model.Name, after) > 0)];
        ResidentModel[] page = [.. rest.Take(size)];
        return new ListModelsResponse
        {
            Models = { page.Select(model => model.ToMessage()) },
            NextPageToken = rest.Length > size ? Convert.ToBase64String(Encoding.UTF8.GetBytes(page[^1].Name)) : "",
        };
    }

    private static string Decode(string token)
    {
        byte[] bytes = new byte[token.Length];
        return Convert.TryFromBase64String(token, bytes, out int length)
            ? Encoding.UTF8.GetString(bytes.AsSpan(0, length))
            : throw new InvalidRequestException("page_token", "It is not the next_page_token of an earlier response.");
    }
}
