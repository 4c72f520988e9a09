using Lab.EndToEnd.Tests.Architecture;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>The programs in tests/clients/typescript.</summary>
internal static class TypeScriptClient
{
    private static string Folder => Path.Combine(Repository.Root, "tests", "clients", "typescript");

    /// <summary>Skips the test where this machine cannot run them; fails it where tests must not be skipped.</summary>
    public static void Require() => Prerequisite.Require(
        ((string[])["node", "npm"]).FirstOrDefault(program => Prerequisite.Find(program) is null) is { } program ? $"There is no {program} (Debian: nodejs, npm)."
        : ((string[])["@grpc/grpc-js", "@grpc/proto-loader", "@types/node", "typescript"]).All(package => Directory.Exists(Path.Combine(Folder, "node_modules", package))) ? null
        : $"Packages are not installed: npm ci in {Folder}.");

    /// <summary>Makes types from protos/, and JavaScript.</summary>
    public static async Task BuildAsync(CancellationToken ct)
    {
        await using LabProcess build = LabProcess.Start(Prerequisite.Find("npm")!, ["--prefix", Folder, "run", "build"]);
        (await build.WaitForExitAsync(ct)).ShouldBe(0, build.Transcript);
    }

    /// <summary>Starts a program that was built.</summary>
    public static LabProcess Start(string program, params IEnumerable<string> arguments) =>
        LabProcess.Start(Prerequisite.Find("node")!, [Path.Combine(Folder, "dist", program), .. arguments]);
}
