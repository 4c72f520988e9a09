namespace Lab.Standalone;

/// <summary>What `lab` returns to the shell.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Usage = 2;

    /// <summary>As shells count it: 128 + SIGINT.</summary>
    public const int Cancelled = 130;
}
