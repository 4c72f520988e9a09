using Google.Protobuf;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>The request is right but not in this state, which the caller must change first: FAILED_PRECONDITION.</summary>
/// <param name="reason">ErrorInfo.reason: "MODEL_NOT_LOADED".</param>
/// <param name="message">What must change.</param>
public sealed class FailedPreconditionException(string reason, string message) : StatusException(Code.FailedPrecondition, reason, message)
{
    internal override IEnumerable<IMessage> Details =>
        [new PreconditionFailure { Violations = { new PreconditionFailure.Types.Violation { Type = Reason, Description = Message } } }];
}
