using Grpc.Core;

namespace Lab.ModelHost.Mapping;

/// <summary>Fields that the API has and the service does not heed: set, they must not be passed over in silence.</summary>
internal static class Unsupported
{
    /// <summary>Requires that such a field is not set.</summary>
    /// <exception cref="RpcException">UNIMPLEMENTED, naming the field.</exception>
    public static void Require(bool isUnset, string field)
    {
        if (!isUnset) throw new RpcException(new Status(StatusCode.Unimplemented, $"{field} is not supported."));
    }
}
