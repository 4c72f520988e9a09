using System.Security.Cryptography;
using System.Text;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Residents;

/// <summary>The folders of this machine that models may be loaded from.</summary>
internal sealed class ModelFolders(IOptions<ModelHostOptions> options)
{
    /// <summary>The longest path that Linux opens.</summary>
    private const int MaxPathLength = 4096;

    private readonly string[] _roots = [.. options.Value.ModelFolders.Select(Real)];

    /// <summary>A folder's absolute path.</summary>
    /// <param name="folder">As a caller named it.</param>
    /// <exception cref="PermissionDeniedException">It is not under a folder that the options allow, whether or not it is there.</exception>
    /// <exception cref="NotFoundException">It is not there.</exception>
    public string Resolve(string folder)
    {
        if (!Path.IsPathFullyQualified(folder) || folder.Contains('\0', StringComparison.Ordinal))
            throw new InvalidRequestException("folder", "An absolute path is required.");
        if (folder.Length > MaxPathLength) throw new InvalidRequestException("folder", $"A path has at most {MaxPathLength} characters, not {folder.Length}.");
        string real = Real(folder);
        if (!_roots.Any(root => IsWithin(root, real)))
        {
            throw new PermissionDeniedException(
                "FOLDER_NOT_ALLOWED", $"Models may not be loaded from '{folder}': it is not under a folder of ModelHost:{nameof(ModelHostOptions.ModelFolders)}.");
        }

        return Directory.Exists(real) ? real : throw new NotFoundException("Folder", folder);
    }

    /// <summary>A mark of a folder's files that changes when one of them is replaced or written to.</summary>
    public static string VersionOf(string folder)
    {
        StringBuilder text = new();
        foreach (FileInfo file in new DirectoryInfo(folder).EnumerateFiles().OrderBy(file => file.Name, StringComparer.Ordinal))
        {
            FileInfo target = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
            text.Append(file.Name).Append('\0').Append(target.Exists ? target.Length : -1).Append('\0').Append(target.LastWriteTimeUtc.Ticks).Append('\n');
        }

        return "files:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <summary>The path without links, "." and "..", as far as it is there.</summary>
    private static string Real(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string? parent = Path.GetDirectoryName(full);
        if (parent is null) return full;
        string real = Path.Combine(Real(parent), Path.GetFileName(full));
        return new DirectoryInfo(real) is { Exists: true, LinkTarget: not null } link && link.ResolveLinkTarget(returnFinalTarget: true) is { } target
            ? Real(target.FullName)
            : real;
    }

    private static bool IsWithin(string root, string path)
    {
        string relative = Path.GetRelativePath(root, path);
        return !Path.IsPathRooted(relative) && relative != ".." && !relative.StartsWith($"..{Path.DirectorySeparatorChar}", StringComparison.Ordinal);
    }
}
