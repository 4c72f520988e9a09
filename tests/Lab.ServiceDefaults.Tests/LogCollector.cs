using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Lab.ServiceDefaults.Tests;

/// <summary>Keeps the exceptions that are logged as errors.</summary>
internal sealed class LogCollector : ILoggerProvider, ILogger
{
    public ConcurrentQueue<Exception> Errors { get; } = new();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) Errors.Enqueue(exception ?? new InvalidOperationException(formatter(state, null)));
    }

    public void Dispose()
    {
    }
}
