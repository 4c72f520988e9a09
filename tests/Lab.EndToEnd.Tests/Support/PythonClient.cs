using Lab.EndToEnd.Tests.Architecture;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>The programs in tests/clients/python, with Debian's Python.</summary>
internal static class PythonClient
{
    // Debian's packages belong to this one.
    private const string Python = "/usr/bin/python3";

    /// <summary>Skips the test where this machine cannot run them; fails it where tests must not be skipped.</summary>
    public static async Task RequireAsync(CancellationToken ct) => Prerequisite.Require(await LackAsync(ct));

    /// <summary>Generates stubs.</summary>
    /// <param name="folder">Where they go.</param>
    /// <param name="protoFolders">Folders of .proto files, from protos/.</param>
    /// <param name="ct">Cancels it.</param>
    public static async Task GenerateAsync(string folder, IEnumerable<string> protoFolders, CancellationToken ct)
    {
        string protos = Path.Combine(Repository.Root, "protos");
        await using LabProcess protoc = LabProcess.Start(
            Prerequisite.Find("protoc")!,
            [
                "-I", protos, $"--python_out={folder}", $"--grpc_python_out={folder}", $"--plugin=protoc-gen-grpc_python={Prerequisite.Find("grpc_python_plugin")}",
                .. protoFolders.SelectMany(name => Directory.EnumerateFiles(Path.Combine(protos, name), "*.proto")),
            ]);
        (await protoc.WaitForExitAsync(ct)).ShouldBe(0, protoc.Transcript);
    }

    /// <summary>Starts a program with stubs.</summary>
    public static LabProcess Start(string program, string stubs, params IEnumerable<string> arguments) =>
        LabProcess.Start(Python, [Path.Combine(Repository.Root, "tests", "clients", "python", program), .. arguments], ("PYTHONPATH", stubs), ("PYTHONDONTWRITEBYTECODE", "1"));

    private static async Task<string?> LackAsync(CancellationToken ct)
    {
        foreach (string program in (string[])["protoc", "grpc_python_plugin"])
            if (Prerequisite.Find(program) is null) return $"There is no {program} (Debian: protobuf-compiler, protobuf-compiler-grpc).";
        if (!File.Exists(Python)) return $"There is no {Python}.";
        await using LabProcess import = LabProcess.Start(Python, ["-c", "import grpc, numpy, google.protobuf"]);
        return await import.WaitForExitAsync(ct) == 0 ? null : $"{Python} lacks a module (Debian: python3-grpcio, python3-protobuf, python3-numpy): {import.Transcript}";
    }
}
