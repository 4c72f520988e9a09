using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Lab.Gateway.Definitions;

/// <summary>
/// Reads the part of YAML that is JSON: mappings, sequences and scalars of the core schema. Anchors, aliases and tags are refused,
/// so that a small text cannot grow into a large value.
/// </summary>
internal static partial class YamlReader
{
    public const int MaxBytes = 1 << 20;
    private const int MaxNodes = 20_000;
    private const int MaxDepth = 64;

    /// <exception cref="YamlException">The text is not YAML, or uses what is refused; it says where.</exception>
    public static YamlDocument Read(string yaml)
    {
        Reading reading = new(new Parser(new StringReader(yaml)));
        return new YamlDocument(reading.ReadDocument(), reading.Lines);
    }

    [GeneratedRegex("^[-+]?[0-9]+$")]
    private static partial Regex Integer();

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")]
    private static partial Regex Number();

    private sealed class Reading(Parser parser)
    {
        private int _nodes;

        public Dictionary<string, long> Lines { get; } = [];

        public JsonNode? ReadDocument()
        {
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _)) return null;
            parser.Consume<DocumentStart>();
            JsonNode? root = ReadNode("", 0);
            parser.Consume<DocumentEnd>();
            if (!parser.Accept<StreamEnd>(out _)) throw Refused(parser.Current!, "There is more than one document.");
            return root;
        }

        private JsonNode? ReadNode(string path, int depth)
        {
            ParsingEvent current = parser.Current!;
            if (current is AnchorAlias) throw Refused(current, "Aliases are not supported.");
            NodeEvent node = parser.Consume<NodeEvent>();
            if (!node.Anchor.IsEmpty) throw Refused(node, "Anchors are not supported.");
            if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific) throw Refused(node, "Tags are not supported.");
            if (++_nodes > MaxNodes) throw Refused(node, $"There are more than {MaxNodes} values.");
            if (depth > MaxDepth) throw Refused(node, $"Values are nested deeper than {MaxDepth} levels.");
            _ = Lines.TryAdd(path, node.Start.Line);
            return node switch
            {
                MappingStart => ReadMapping(path, depth),
                SequenceStart => ReadSequence(path, depth),
                _ => ReadScalar((Scalar)node),
            };
        }

        private JsonObject ReadMapping(string path, int depth)
        {
            JsonObject mapping = [];
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                if (parser.Current is not Scalar { Anchor.IsEmpty: true } key) throw Refused(parser.Current!, "A key must be plain text.");
                _ = parser.MoveNext();
                string name = path.Length == 0 ? key.Value : $"{path}.{key.Value}";
                Lines[name] = key.Start.Line;
                JsonNode? value = ReadNode(name, depth + 1);
                if (!mapping.TryAdd(key.Value, value)) throw Refused(key, $"The key \"{key.Value}\" is given twice.");
            }
            return mapping;
        }

        private JsonArray ReadSequence(string path, int depth)
        {
            JsonArray sequence = [];
            while (!parser.TryConsume<SequenceEnd>(out _))
                sequence.Add(ReadNode($"{path}[{sequence.Count}]", depth + 1));
            return sequence;
        }

        private static JsonValue? ReadScalar(Scalar scalar)
        {
            string text = scalar.Value;
            if (scalar.Style != ScalarStyle.Plain) return JsonValue.Create(text);
            return text switch
            {
                "" or "~" or "null" or "Null" or "NULL" => null,
                "true" or "True" or "TRUE" => JsonValue.Create(true),
                "false" or "False" or "FALSE" => JsonValue.Create(false),
                _ when Integer().IsMatch(text) && long.TryParse(text, CultureInfo.InvariantCulture, out long integer) => JsonValue.Create(integer),
                _ when Number().IsMatch(text) && double.Parse(text, CultureInfo.InvariantCulture) is double number && double.IsFinite(number) => JsonValue.Create(number),
                _ => JsonValue.Create(text),
            };
        }

        private static YamlException Refused(ParsingEvent at, string message) => new(at.Start, at.End, message);
    }
}
