using System.CommandLine;
using Grpc.Core;
using Lab.Standalone.Rendering;

namespace Lab.Standalone.Commands;

/// <summary>What all commands share: their faults become messages and exit codes.</summary>
internal static class CommandAction
{
    public static void SetLabAction(this Command command, LabConsole console, Func<ParseResult, CancellationToken, Task<int>> action) =>
        command.SetAction(async (parsed, cancellationToken) =>
        {
            try
            {
                return await action(parsed, cancellationToken);
            }
            catch (CommandException fault)
            {
                console.Error.WriteLine($"lab: {fault.Message}");
                return fault.ExitCode;
            }
            catch (Exception fault) when (cancellationToken.IsCancellationRequested && IsCancellation(fault))
            {
                return ExitCode.Cancelled;
            }
            catch (RpcException fault)
            {
                console.Error.WriteLine($"lab: {RpcFaults.Describe(fault)}");
                return fault.StatusCode == StatusCode.InvalidArgument ? ExitCode.Usage : ExitCode.Failed;
            }
        });

    private static bool IsCancellation(Exception fault) =>
        fault is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled };
}
