using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;
using Lab.Protos.Run.V1;
using Lab.Standalone.Rendering;
using Spectre.Console;
using Progress = Lab.Protos.Run.V1.Progress;

namespace Lab.Standalone.Tests.Rendering;

public sealed class LiveProgressTests
{
    private static readonly DateTimeOffset _now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void Draw_RunningStep_ShowsBarPhaseLossAndRemainingTime()
    {
        string line = Draw(new StepRun
        {
            Id = "train[sparse]",
            Status = new RunStatus
            {
                State = RunState.Running,
                StartTime = _now.AddSeconds(-61).ToTimestamp(),
                Progress = new Progress { Phase = "training", Completed = 1, Total = 4, Eta = Duration.FromTimeSpan(TimeSpan.FromSeconds(183)) },
                Metrics = { ["loss"] = 2.5 },
            },
        });

        line.ShouldContain("train[sparse]");
        line.ShouldContain("25%");
        line.ShouldContain("training  loss 2.500");
        line.ShouldContain("1:01 · 3:03 left");
    }

    [Fact]
    public void Draw_CachedStep_SaysSo() =>
        Draw(new StepRun { Id = "corpus", Cached = true, Status = new RunStatus { State = RunState.Succeeded } }).ShouldContain("from an earlier run");

    [Fact]
    public void Draw_StepWithoutTotal_HasNoPercent() =>
        Draw(new StepRun { Id = "corpus", Status = new RunStatus { State = RunState.Running, Progress = new Progress { Phase = "reading", Completed = 7 } } }).ShouldNotContain("%");

    private static string Draw(StepRun step)
    {
        using var output = new StringWriter();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = 140;
        console.Write(LiveProgress.Draw(new ExperimentRun { Status = new RunStatus(), Steps = { step } }, _now));
        return output.ToString();
    }
}
