using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Lab.Standalone.Rendering;

/// <summary>Progress as bars that are drawn in place, one for each step.</summary>
internal sealed class LiveProgress(IAnsiConsole screen, TimeProvider time) : IProgressView
{
    private const int BarWidth = 24;

    private static readonly TimeSpan _tick = TimeSpan.FromSeconds(1);

    public async Task<ExperimentRun> ShowAsync(IAsyncEnumerable<ExperimentRun> snapshots, CancellationToken cancellationToken)
    {
        ExperimentRun? last = null;
        await screen.Live(new Text("")).AutoClear(false).Overflow(VerticalOverflow.Ellipsis).StartAsync(async live =>
        {
            await using IAsyncEnumerator<ExperimentRun> source = snapshots.GetAsyncEnumerator(cancellationToken);
            Task<bool> next = source.MoveNextAsync().AsTask();
            while (true)
            {
                // Clocks go on while nothing else changes. Once cancelled, the source ends by itself.
                bool isNews = await Task.WhenAny(next, Task.Delay(_tick, time, CancellationToken.None)) == next;
                if (isNews && !await next) break;
                if (isNews)
                {
                    last = source.Current;
                    next = source.MoveNextAsync().AsTask();
                }

                if (last is not null) live.UpdateTarget(Draw(last, time.GetUtcNow()));
                live.Refresh();
            }
        });
        return last ?? throw new InvalidOperationException("The run was watched and gave nothing.");
    }

    /// <summary>The run as a grid: state, step, bar, percent, what it does, times.</summary>
    public static IRenderable Draw(ExperimentRun run, DateTimeOffset now)
    {
        Grid grid = new();
        grid.AddColumn(new GridColumn().NoWrap().PadRight(1));
        grid.AddColumn(new GridColumn().NoWrap().PadRight(2));
        grid.AddColumn(new GridColumn().NoWrap().PadRight(1));
        grid.AddColumn(new GridColumn().NoWrap().PadRight(2).RightAligned());
        grid.AddColumn(new GridColumn().PadRight(2));
        grid.AddColumn(new GridColumn().NoWrap().RightAligned());
        foreach (StepProgress step in run.Steps.Select(step => StepProgress.Of(step, now)))
        {
            grid.AddRow(
                new Markup(Glyph(step)),
                new Markup(step.State == RunState.Queued ? $"[grey]{step.Id.EscapeMarkup()}[/]" : step.Id.EscapeMarkup()),
                Bar(step),
                new Text(step.Fraction is double fraction ? $"{fraction * 100:0}%" : ""),
                new Markup($"[grey]{What(step).EscapeMarkup()}[/]"),
                new Markup($"[grey]{Times(step)}[/]"));
        }

        return grid;
    }

    private static string Glyph(StepProgress step) => step.State switch
    {
        RunState.Succeeded => "[green]✓[/]",
        RunState.Failed => "[red]✗[/]",
        RunState.Cancelled => "[yellow]■[/]",
        RunState.Running => "[blue]›[/]",
        _ => "[grey]·[/]",
    };

    private static Markup Bar(StepProgress step)
    {
        int filled = (int)Math.Round((step.Fraction ?? 0) * BarWidth);
        string color = step.State switch { RunState.Succeeded => "green", RunState.Failed => "red", RunState.Cancelled => "yellow", _ => "blue" };
        return new Markup($"[{color}]{new string('━', filled)}[/][grey23]{new string('━', BarWidth - filled)}[/]");
    }

    private static string What(StepProgress step) =>
        string.Join("  ", new[] { step.IsCached ? "from an earlier run" : step.Phase, step.Metrics }.Where(text => text.Length > 0));

    private static string Times(StepProgress step) => step switch
    {
        { IsCached: true } => "",
        { Remaining: TimeSpan left } => $"{Durations.Clock(step.Elapsed ?? TimeSpan.Zero)} · {Durations.Clock(left)} left",
        { Elapsed: TimeSpan elapsed } => Durations.Clock(elapsed),
        _ => "",
    };
}
