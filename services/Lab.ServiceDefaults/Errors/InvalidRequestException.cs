using Google.Protobuf;
using Google.Rpc;

namespace Lab.ServiceDefaults.Errors;

/// <summary>The request is wrong whatever the state of the service: INVALID_ARGUMENT with a violation per field.</summary>
/// <param name="violations">At least one.</param>
public sealed class InvalidRequestException(params FieldViolation[] violations)
    : StatusException(Code.InvalidArgument, "INVALID_REQUEST", string.Join(" ", violations.Select(v => $"{v.Field}: {v.Description}")))
{
    /// <summary>What is wrong with a single field.</summary>
    public InvalidRequestException(string field, string description)
        : this(new FieldViolation(field, description))
    {
    }

    /// <summary>What is wrong, field by field.</summary>
    public IReadOnlyList<FieldViolation> Violations { get; } = violations;

    internal override IEnumerable<IMessage> Details =>
        [new BadRequest { FieldViolations = { Violations.Select(v => new BadRequest.Types.FieldViolation { Field = v.Field, Description = v.Description }) } }];
}
