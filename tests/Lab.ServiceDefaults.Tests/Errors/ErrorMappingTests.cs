using Google.Rpc;
using Grpc.Core;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;
using Polly.CircuitBreaker;
using Polly.Timeout;
using Status = Google.Rpc.Status;

namespace Lab.ServiceDefaults.Tests.Errors;

public sealed class ErrorMappingTests
{
    public static TheoryData<Exception, Code, string> Mapped => new()
    {
        { new InvalidRequestException("a", "b"), Code.InvalidArgument, "INVALID_REQUEST" },
        { new ArgumentException("bad", "data"), Code.InvalidArgument, "INVALID_REQUEST" },
        { new NotFoundException("Model", "models/a"), Code.NotFound, "RESOURCE_NOT_FOUND" },
        { new KeyNotFoundException("There is no artifact 'a'."), Code.NotFound, "NOT_FOUND" },
        { new FailedPreconditionException("MODEL_NOT_LOADED", "load it"), Code.FailedPrecondition, "MODEL_NOT_LOADED" },
        { new AbortedException("RUN_EXISTS", "exists"), Code.Aborted, "RUN_EXISTS" },
        { new ResourceExhaustedException("BUDGET", "too much"), Code.ResourceExhausted, "BUDGET" },
        { new UnavailableException("AWAY", "away", TimeSpan.FromSeconds(1)), Code.Unavailable, "AWAY" },
        { new InvalidDataException("corrupt"), Code.DataLoss, "DATA_CORRUPT" },
        { new IOException("No space left on device", 28), Code.ResourceExhausted, "DISK_FULL" },
        { new IOException("There is not enough space on the disk.", unchecked((int)0x80070070)), Code.ResourceExhausted, "DISK_FULL" },
        { new IOException("other"), Code.Internal, "INTERNAL_ERROR" },
        { new FileNotFoundException("/secret"), Code.Internal, "INTERNAL_ERROR" },
        { new BrokenCircuitException(), Code.Unavailable, "CIRCUIT_OPEN" },
        { new TimeoutRejectedException(), Code.DeadlineExceeded, "TIMEOUT" },
        { new OperationCanceledException(), Code.Cancelled, "CANCELLED" },
        { new AggregateException(new InvalidDataException("corrupt")), Code.DataLoss, "DATA_CORRUPT" },
        { new TensorWorkerBusyException("gpt", 64), Code.ResourceExhausted, "WORKER_BUSY" },
    };

    [Theory]
    [MemberData(nameof(Mapped), DisableDiscoveryEnumeration = true)]
    public void ToStatus_Exception_HasCodeAndErrorInfo(Exception e, Code code, string reason)
    {
        Status status = ErrorMapping.ToStatus(e);

        status.Code.ShouldBe((int)code);
        ErrorInfo info = status.GetDetail<ErrorInfo>().ShouldNotBeNull();
        info.Reason.ShouldBe(reason);
        info.Domain.ShouldBe("lab");
        status.Details.Select(d => d.TypeUrl).ShouldBeUnique();
    }

    [Fact]
    public void ToStatus_Argument_NamesTheFieldWithoutRepeatingIt()
    {
        BadRequest.Types.FieldViolation violation =
            ErrorMapping.ToStatus(new ArgumentException("has 3 bytes, but 4 are needed.", "tensors[0].data")).GetDetail<BadRequest>().FieldViolations.ShouldHaveSingleItem();

        violation.Field.ShouldBe("tensors[0].data");
        violation.Description.ShouldBe("has 3 bytes, but 4 are needed.");
    }

    [Fact]
    public void ToStatus_NotFound_HasResourceInfo()
    {
        ResourceInfo info = ErrorMapping.ToStatus(new NotFoundException("Model", "models/a")).GetDetail<ResourceInfo>();

        info.ResourceType.ShouldBe("Model");
        info.ResourceName.ShouldBe("models/a");
    }

    [Fact]
    public void ToStatus_WorkThatMayBeTriedAgain_SaysWhen()
    {
        ErrorMapping.ToStatus(new ResourceExhaustedException("BUSY", "busy", TimeSpan.FromSeconds(3))).GetDetail<RetryInfo>().RetryDelay.Seconds.ShouldBe(3);
        ErrorMapping.ToStatus(new ResourceExhaustedException("BUDGET", "never")).GetDetail<RetryInfo>().ShouldBeNull();
        ErrorMapping.ToStatus(new TensorWorkerBusyException("gpt", 64)).GetDetail<RetryInfo>().ShouldNotBeNull();
    }

    [Fact]
    public void ToStatus_RealFullDisk_IsRecognised()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's.");

        IOException thrown = Should.Throw<IOException>(() =>
        {
            using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            full.WriteByte(1);
        });

        ErrorMapping.ToStatus(thrown).GetDetail<ErrorInfo>().Reason.ShouldBe("DISK_FULL");
    }

    [Fact]
    public void ToStatus_StatusOfAnotherService_IsKept()
    {
        Status theirs = ErrorMapping.ToStatus(new NotFoundException("Model", "models/a"));

        ErrorMapping.ToStatus(theirs.ToRpcException()).ShouldBe(theirs);
        ErrorMapping.ToStatus(new RpcException(new Grpc.Core.Status(StatusCode.Unavailable, "away"))).ShouldBe(new Status { Code = (int)Code.Unavailable, Message = "away" });
    }

    [Fact]
    public void ToStatus_Fault_GivesNothingAway() =>
        ErrorMapping.ToStatus(new InvalidOperationException("secret")).ToString().ShouldNotContain("secret");
}
