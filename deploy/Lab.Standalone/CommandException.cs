namespace Lab.Standalone;

/// <summary>Ends a command with a message for people and without a stack trace.</summary>
/// <param name="exitCode">One of <see cref="ExitCode"/>.</param>
/// <param name="message">What is wrong, and what to do about it.</param>
internal sealed class CommandException(int exitCode, string message, Exception? inner = null) : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;

    public static CommandException Usage(string message) => new(Standalone.ExitCode.Usage, message);

    public static CommandException Failed(string message, Exception? inner = null) => new(Standalone.ExitCode.Failed, message, inner);
}
