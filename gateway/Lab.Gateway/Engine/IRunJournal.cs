namespace Lab.Gateway.Engine;

/// <summary>What a run's work tells of its changes to.</summary>
internal interface IRunJournal
{
    /// <summary>Stores the run as it is now, and shows it to those who watch.</summary>
    Task SaveAsync();

    /// <summary>Shows the run to those who watch.</summary>
    void Publish();
}
