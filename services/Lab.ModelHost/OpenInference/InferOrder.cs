using System.Runtime.InteropServices;
using Google.Protobuf;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models;
using Lab.Protos.Inference.V2;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.OpenInference;

/// <summary>A request of ModelInfer as a run, and the run's tensors as its response.</summary>
/// <param name="Run">The run.</param>
/// <param name="Batch">The rows.</param>
/// <param name="Outputs">What to send, in order.</param>
/// <param name="DataType">The type of what is sent, in the protocol's name.</param>
internal sealed record InferOrder(RunOrder Run, InferBatch Batch, IReadOnlyList<InferOutput> Outputs, string DataType)
{
    private const string DataTypeParameter = "data_type";

    /// <summary>Checks a request against a model, down to the last field: what the run is made of is right.</summary>
    /// <exception cref="InvalidRequestException">Something does not fit.</exception>
    public static InferOrder Of(ModelInferRequest request, ResidentModel model)
    {
        string type = TypeOf(request, model);
        InferBatch batch = InferBatch.Of(request, model);
        InferOutput[] outputs = OutputsOf(request, model.Hooks);
        RunRequest run = new()
        {
            Model = model.Name,
            Input = new Input { Tokens = batch.Tokens },
            Captures = { outputs.Select(output => output.Hook?.Name).OfType<string>().Distinct().Select(hook => new Selector { Hook = hook }) },
            Logits = outputs.Any(output => output.Hook is null) ? LogitsMode.All : LogitsMode.None,
            DataType = InferType.Outputs[type] switch
            {
                TensorDataType.Float16 => Protos.Tensor.V1.DataType.Fp16,
                TensorDataType.BFloat16 => Protos.Tensor.V1.DataType.Bf16,
                TensorDataType.Float64 => Protos.Tensor.V1.DataType.Fp64,
                _ => Protos.Tensor.V1.DataType.Fp32,
            },
        };
        return new InferOrder(run.ToOrder(model), batch, outputs, type);
    }

    /// <summary>The bytes of the tensors to send, as the request lays them out; at most what 64 bits can count.</summary>
    public long ResponseBytes(RunPlan plan)
    {
        Int128 bytes = 0;
        foreach (InferOutput output in Outputs)
        {
            SentTensor tensor = plan.Tensors.Single(tensor => tensor.Name == output.TensorName);
            bytes += PaddedLayout.Shape(tensor.Shape, output.Dimensions, Batch).Aggregate((Int128)Run.DataType.Size(), (product, size) => product * size);
        }

        return (long)Int128.Min(bytes, long.MaxValue);
    }

    /// <summary>The run's tensors, in the layout of the request; raw if its inputs were, or if the type has no other way.</summary>
    public ModelInferResponse ToResponse(ModelInferRequest request, string digest, IReadOnlyList<HostTensor> tensors)
    {
        ModelInferResponse response = new() { ModelName = request.ModelName, ModelVersion = digest, Id = request.Id };
        bool isRaw = request.RawInputContents.Count > 0 || InferType.Outputs[DataType] is TensorDataType.Float16 or TensorDataType.BFloat16;
        foreach (InferOutput output in Outputs)
        {
            HostTensor tensor = PaddedLayout.Apply(tensors.Single(tensor => tensor.Name == output.TensorName), output.Dimensions, Batch);
            response.Outputs.Add(new ModelInferResponse.Types.InferOutputTensor
            {
                Name = output.Name,
                Datatype = DataType,
                Shape = { tensor.Shape },
                Contents = isRaw ? null : ToContents(tensor),
            });
            if (isRaw) response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(tensor.Data));
        }

        return response;
    }

    private static InferTensorContents ToContents(HostTensor tensor)
    {
        InferTensorContents contents = new();
        if (tensor.DataType == TensorDataType.Float32) contents.Fp32Contents.AddRange(tensor.Floats);
        else contents.Fp64Contents.AddRange(MemoryMarshal.Cast<byte, double>(tensor.Data.Span));
        return contents;
    }

    private static string TypeOf(ModelInferRequest request, ResidentModel model)
    {
        string type = InferType.Fp32;
        foreach ((string name, InferParameter value) in request.Parameters)
        {
            string field = $"parameters[\"{name}\"]";
            if (name != DataTypeParameter) throw new InvalidRequestException(field, "There is no such parameter.");
            type = value.StringParam;
            if (!InferType.Outputs.TryGetValue(type, out TensorDataType known) || (known == TensorDataType.Float64 && model.Facts.Type != TensorDataType.Float64))
                throw new InvalidRequestException(field, "It is FP32, FP16 or BF16; of FP64 models FP64 too.");
        }

        return type;
    }

    private static InferOutput[] OutputsOf(ModelInferRequest request, HookCatalog hooks)
    {
        if (request.Outputs.Count == 0) return [new InferOutput(RunPlan.LogitsName, null)];
        List<InferOutput> outputs = [];
        for (int i = 0; i < request.Outputs.Count; i++)
        {
            string name = request.Outputs[i].Name;
            if (request.Outputs[i].Parameters.Keys.FirstOrDefault() is { } parameter)
                throw new InvalidRequestException($"outputs[{i}].parameters[\"{parameter}\"]", "There is no such parameter of an output.");
            HookPoint? hook = hooks.Find(name);
            if (hook is null && name != RunPlan.LogitsName) throw new InvalidRequestException($"outputs[{i}].name", $"The model has no output '{name}'.");
            if (outputs.Any(output => output.Name == name)) throw new InvalidRequestException($"outputs[{i}].name", $"'{name}' is asked for twice.");
            outputs.Add(new InferOutput(name, hook));
        }

        return [.. outputs];
    }
}

/// <summary>A tensor to send.</summary>
/// <param name="Name">As the request calls it.</param>
/// <param name="Hook">Where it is captured; null for logits.</param>
internal sealed record InferOutput(string Name, HookPoint? Hook)
{
    /// <summary>The name that the run gives it.</summary>
    public string TensorName => Hook?.Name ?? RunPlan.LogitsName;

    /// <summary>What its dimensions are.</summary>
    public IReadOnlyList<HookDimension> Dimensions => Hook?.Dimensions ?? InferMetadata.LogitsDimensions;
}
