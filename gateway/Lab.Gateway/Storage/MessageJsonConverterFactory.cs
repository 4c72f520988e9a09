using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Rpc;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Storage;

/// <summary>Writes protobuf messages inside other JSON in protobuf's own form. Details of errors are kept if they are google.rpc's.</summary>
internal sealed class MessageJsonConverterFactory : JsonConverterFactory
{
    // An Any can be written only if its type is known.
    private static readonly TypeRegistry Types = TypeRegistry.FromFiles(ExperimentServiceReflection.Descriptor, ErrorDetailsReflection.Descriptor);
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithTypeRegistry(Types));
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithTypeRegistry(Types).WithIgnoreUnknownFields(true));

    /// <summary>A copy whose details can be stored.</summary>
    public static Status Storable(Status status)
    {
        Status copy = new() { Code = status.Code, Message = status.Message };
        copy.Details.Add(status.Details.Where(d => Types.Find(Google.Protobuf.WellKnownTypes.Any.GetTypeName(d.TypeUrl)) is not null));
        return copy;
    }

    public override bool CanConvert(Type typeToConvert) => typeof(IMessage).IsAssignableFrom(typeToConvert);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(MessageConverter<>).MakeGenericType(typeToConvert))!;

    private sealed class MessageConverter<T> : JsonConverter<T> where T : class, IMessage<T>, new()
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            try
            {
                return Parser.Parse<T>(document.RootElement.GetRawText());
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
            {
                throw new JsonException(e.Message, e);
            }
        }

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            writer.WriteRawValue(Formatter.Format(value));
    }
}
