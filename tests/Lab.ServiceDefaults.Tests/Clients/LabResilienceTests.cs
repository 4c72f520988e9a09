using Grpc.Core;
using Lab.ServiceDefaults.Clients;
using Lab.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ServiceDefaults.Tests.Clients;

public sealed class LabResilienceTests
{
    private static readonly RpcException Away = new(new Status(StatusCode.Unavailable, "away"));
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CreateRetry_ServiceStaysAway_GivesUpAfterTwoMinutes()
    {
        var time = new ImpatientTime(LongestDelay);
        int attempts = 0;

        RpcException thrown = await Should.ThrowAsync<RpcException>(LabResilience.CreateRetry(time).ExecuteAsync(_ =>
        {
            attempts++;
            throw Away;
        }, Ct).AsTask());

        thrown.StatusCode.ShouldBe(StatusCode.Unavailable);
        time.Waited.ShouldBeInRange(LabResilience.RideOut, LabResilience.RideOut + LongestDelay);
        attempts.ShouldBeGreaterThan((int)(LabResilience.RideOut / LongestDelay));
    }

    [Fact]
    public async Task CallPipeline_ServiceAwayAndBack_AnswersEveryCall()
    {
        var time = new ImpatientTime(LongestDelay);
        var pipeline = new CallPipeline("Part", time);
        DateTimeOffset back = time.GetUtcNow() + TimeSpan.FromSeconds(60);

        int answer = await pipeline.ExecuteAsync(
            _ => time.GetUtcNow() < back ? throw Away : Task.FromResult(7), time.GetUtcNow().UtcDateTime.AddMinutes(5), Ct);

        answer.ShouldBe(7);
    }

    [Fact]
    public async Task CallPipeline_ManyCallsToAServiceThatIsAway_AreSparedIt()
    {
        var time = new FakeTimeProvider();
        var pipeline = new CallPipeline("Part", time);
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        int attempts = 0;

        Task<int>[] calls =
        [
            .. Enumerable.Range(0, 30).Select(_ => pipeline.ExecuteAsync<int>(_ =>
            {
                attempts++;
                throw Away;
            }, time.GetUtcNow().UtcDateTime.AddMinutes(5), source.Token)),
        ];

        // The clock stands still, so each call has made its first attempt and none its second.
        attempts.ShouldBe(10);
        await source.CancelAsync();
        foreach (Task<int> call in calls) (await Should.ThrowAsync<RpcException>(call)).StatusCode.ShouldBe(StatusCode.Cancelled);
    }

    [Fact]
    public async Task CallPipeline_DeadlineWhileWaiting_IsDeadlineExceeded()
    {
        var time = new ImpatientTime(LongestDelay);
        var pipeline = new CallPipeline("Part", time);

        RpcException thrown = await Should.ThrowAsync<RpcException>(
            pipeline.ExecuteAsync<int>(_ => throw Away, time.GetUtcNow().UtcDateTime.AddSeconds(30), Ct));

        thrown.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
    }

    [Theory]
    [InlineData(StatusCode.Unavailable, false, true)]
    [InlineData(StatusCode.Internal, true, true)]
    [InlineData(StatusCode.Internal, false, false)]
    [InlineData(StatusCode.NotFound, true, false)]
    [InlineData(StatusCode.ResourceExhausted, false, false)]
    public void IsTransient_Status_IsSoOnlyWhereTheServiceIsAway(StatusCode code, bool connectionLost, bool expected) =>
        LabResilience.IsTransient(new RpcException(new Status(code, "", connectionLost ? new HttpRequestException("reset") : null))).ShouldBe(expected);
}
