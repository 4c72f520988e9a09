using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Engine;

/// <summary>What is kept of a run.</summary>
internal sealed class ExperimentRunState
{
    /// <summary>The name that the storage keeps it under.</summary>
    public const string Name = "run";

    /// <summary>The run as clients see it; null before it is created.</summary>
    public ExperimentRun? Run { get; set; }

    /// <summary>Tells this run's own work from equal work of other runs, where it must not be shared: 8 hexadecimal digits.</summary>
    public string Nonce { get; set; } = "";

    /// <summary>Whether every step is computed anew.</summary>
    public bool IgnoresCache { get; set; }

    /// <summary>Whether Cancel was called. Kept before anything is done about it, so that a crash does not forget it.</summary>
    public bool IsCancelRequested { get; set; }
}
