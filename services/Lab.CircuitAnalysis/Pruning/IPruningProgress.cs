namespace Lab.CircuitAnalysis.Pruning;

/// <summary>Hears how far a pruning run is.</summary>
internal interface IPruningProgress
{
    void Report(string phase, long completed, long total, string unit);

    void Metric(string name, double value);
}
