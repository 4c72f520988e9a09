namespace Lab.SparseTraining.Training;

/// <summary>What a curve knows beyond its last point.</summary>
/// <param name="Sum">Of the losses since.</param>
/// <param name="Count">Steps since.</param>
/// <param name="GradientRms">Of the last step.</param>
internal readonly record struct CurveTail(double Sum, int Count, double GradientRms);
