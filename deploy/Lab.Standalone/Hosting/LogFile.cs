using System.Globalization;

namespace Lab.Standalone.Hosting;

/// <summary>A file that all parts of this process append their log lines to.</summary>
internal sealed class LogFile : IDisposable
{
    private readonly Lock _lock = new();
    private readonly StreamWriter _writer;
    private bool _isDisposed;

    public LogFile(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _writer = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read)) { AutoFlush = true };
    }

    /// <summary>A provider of loggers whose lines begin with a part's name.</summary>
    public ILoggerProvider For(string part) => new Provider(this, part);

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _writer.Dispose();
        }
    }

    private void Write(string line)
    {
        lock (_lock)
        {
            // What runs in the background may log after its host has stopped.
            if (!_isDisposed) _writer.WriteLine(line);
        }
    }

    private sealed class Provider(LogFile file, string part) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new Logger(file, $"{part} {categoryName}");

        public void Dispose()
        {
            // The file outlives each part.
        }
    }

    private sealed class Logger(LogFile file, string source) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            file.Write(string.Create(CultureInfo.InvariantCulture,
                $"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {logLevel} {source}: {formatter(state, exception)}{(exception is null ? "" : Environment.NewLine + exception)}"));
    }
}
