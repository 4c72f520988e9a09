using Google.Protobuf;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Engine;

/// <summary>How Orleans passes an <see cref="ExperimentRun"/>: as its protobuf bytes.</summary>
[GenerateSerializer, Immutable]
internal struct ExperimentRunSurrogate
{
    [Id(0)]
    public byte[] Bytes;
}

[RegisterConverter]
internal sealed class ExperimentRunConverter : IConverter<ExperimentRun, ExperimentRunSurrogate>
{
    public ExperimentRun ConvertFromSurrogate(in ExperimentRunSurrogate surrogate) => ExperimentRun.Parser.ParseFrom(surrogate.Bytes);

    public ExperimentRunSurrogate ConvertToSurrogate(in ExperimentRun value) => new() { Bytes = value.ToByteArray() };
}
