using Lab.Protos.Run.V1;

namespace Lab.Protos.Run.V1
{
    /// <summary>What every run resource has: a resource name and a status.</summary>
    public interface IRunResource
    {
        /// <summary>The resource name, "trainingRuns/{id}" for instance.</summary>
        string Name { get; set; }

        /// <summary>Where the run stands.</summary>
        RunStatus Status { get; set; }
    }

    /// <summary>The laws of <see cref="RunState"/>.</summary>
    public static class RunStates
    {
        /// <summary>Whether a run in this state is at its end.</summary>
        public static bool IsFinal(this RunState state) =>
            state is RunState.Succeeded or RunState.Failed or RunState.Cancelled;
    }
}

namespace Lab.Protos.SparseTraining.V1
{
    public sealed partial class CorpusRun : IRunResource;

    public sealed partial class TrainingRun : IRunResource;
}

namespace Lab.Protos.BridgeAlignment.V1
{
    public sealed partial class AlignmentRun : IRunResource;
}

namespace Lab.Protos.CircuitAnalysis.V1
{
    public sealed partial class PruningRun : IRunResource;
}

namespace Lab.Protos.Experiment.V1
{
    public sealed partial class ExperimentRun : IRunResource;
}
