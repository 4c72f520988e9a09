namespace Lab.ModelHost.Residents;

/// <summary>The right to use a resident model until disposed.</summary>
internal sealed class ModelLease(ResidentModel model) : IDisposable
{
    private int _isEnded;

    public ResidentModel Model => model;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isEnded, 1) == 0) model.EndLease();
    }
}
