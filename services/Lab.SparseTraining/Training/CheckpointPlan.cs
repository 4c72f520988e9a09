namespace Lab.SparseTraining.Training;

/// <summary>When state is stored; see CheckpointConfig in training_checkpoint.proto for defaults.</summary>
/// <param name="TimeInterval">The longest time between checkpoints.</param>
/// <param name="Kept">How many are kept.</param>
/// <param name="PublishInterval">The least steps between models that are published; 0 for none.</param>
internal readonly record struct CheckpointPlan(TimeSpan TimeInterval, int Kept, long PublishInterval);
