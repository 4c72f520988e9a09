using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Hosting;

/// <summary>The rules for addresses, which annotations cannot say.</summary>
internal sealed class LabOptionsValidator : IValidateOptions<LabOptions>
{
    public ValidateOptionsResult Validate(string? name, LabOptions options)
    {
        var failures = new List<string>();
        if (!IsListenAddress(options.Url))
            failures.Add($"Lab:Url is '{options.Url}', which is not of the form http://host:port or http://unix:/path.");
        failures.AddRange(
            from service in options.Services
            where !Uri.TryCreate(service.Value, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https")
            select $"Lab:Services:{service.Key} is '{service.Value}', which is not an absolute http or https address.");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static bool IsListenAddress(string url)
    {
        try
        {
            return BindingAddress.Parse(url).Scheme == Uri.UriSchemeHttp;
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
