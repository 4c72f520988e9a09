using System.Text;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Rpc;
using Lab.Protos.Run.V1;
using Microsoft.Extensions.Logging;

namespace Lab.ServiceDefaults.Runs;

/// <summary>The runs of one collection as protobuf JSON, {folder}/{id}/run.json, and beside each what was asked for, request.json.</summary>
internal sealed partial class RunStore<TRun>
    where TRun : class, IRunResource, IMessage<TRun>, new()
{
    private const string RunFile = "run.json";
    private const string RequestFile = "request.json";
    private const string CorruptSuffix = ".corrupt";
    private const string BrokenWrites = "*.tmp";
    private readonly string _folder;
    private readonly AtomicFile _file;
    private readonly ILogger _logger;
    private readonly JsonFormatter _formatter;
    private readonly JsonParser _parser;
    private readonly HashSet<string> _knownDetails;

    public RunStore(string folder, AtomicFile file, ILogger logger)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        _file = file;
        _logger = logger;
        // The details of an error are of any type: JSON can hold those that are registered.
        TypeRegistry types = TypeRegistry.FromFiles(new TRun().Descriptor.File, ErrorDetailsReflection.Descriptor);
        _knownDetails = [.. ErrorDetailsReflection.Descriptor.MessageTypes.Select(m => m.FullName)];
        _formatter = new JsonFormatter(JsonFormatter.Settings.Default.WithTypeRegistry(types).WithIndentation());
        _parser = new JsonParser(JsonParser.Settings.Default.WithTypeRegistry(types).WithIgnoreUnknownFields(true));
    }

    public string FolderOf(string id) => Path.Combine(_folder, id);

    /// <summary>
    /// Reads all runs, and deletes what writes that a kill broke off have left in their folders. What cannot be read is moved aside and
    /// logged: one bad file must not hold up the others.
    /// </summary>
    public IReadOnlyList<RunRecord<TRun>> Load()
    {
        var runs = new List<RunRecord<TRun>>();
        foreach (string folder in Directory.EnumerateDirectories(_folder))
        {
            foreach (string broken in Directory.EnumerateFiles(folder, BrokenWrites)) File.Delete(broken);
            // Without run.json it never came to be: the process ended while creating it.
            if (File.Exists(Path.Combine(folder, RunFile)) && Read(folder, RunFile, IsRun) is { } run && Read(folder, RequestFile, _ => true) is { } request)
                runs.Add(new RunRecord<TRun>(Path.GetFileName(folder), request, run));
        }

        return runs;
    }

    /// <summary>Stores a new run in an empty folder: what a run that never came to be, or a corrupt one, left there goes.</summary>
    public void Create(RunRecord<TRun> record, Action<string>? prepare = null)
    {
        var folder = new DirectoryInfo(FolderOf(record.Id));
        try
        {
            folder.Create();
            foreach (FileSystemInfo entry in folder.EnumerateFileSystemInfos().Where(e => !e.Name.EndsWith(CorruptSuffix, StringComparison.Ordinal)))
            {
                if (entry is DirectoryInfo subfolder) subfolder.Delete(recursive: true);
                else entry.Delete();
            }

            prepare?.Invoke(folder.FullName);
            Write(record.Id, RequestFile, record.Request);
            Write(record.Id, RunFile, record.Run);
        }
        catch (Exception)
        {
            if (!folder.EnumerateFiles("*" + CorruptSuffix).Any()) folder.Delete(recursive: true);
            throw;
        }
    }

    public void Save(string id, TRun run) => Write(id, RunFile, run);

    /// <summary>Leaves out details of an error that JSON could not hold.</summary>
    public Status Storable(Status status)
    {
        Status copy = status.Clone();
        copy.Details.Clear();
        copy.Details.Add(status.Details.Where(d => _knownDetails.Contains(Google.Protobuf.WellKnownTypes.Any.GetTypeName(d.TypeUrl))));
        return copy;
    }

    private void Write(string id, string file, TRun run) =>
        _file.Write(Path.Combine(FolderOf(id), file), Encoding.UTF8.GetBytes(_formatter.Format(run)));

    private static bool IsRun(TRun run) => run.Name.Length > 0 && run.Status?.CreateTime is not null && run.Status.State != RunState.Unspecified;

    private TRun? Read(string folder, string file, Predicate<TRun> isValid)
    {
        string path = Path.Combine(folder, file);
        try
        {
            TRun run = _parser.Parse<TRun>(File.ReadAllText(path));
            return isValid(run) ? run : throw new InvalidDataException($"{path} lacks a name, a state or a create time.");
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException or InvalidDataException or FileNotFoundException)
        {
            string run = Path.Combine(folder, RunFile);
            LogCorrupt(e, path, run + CorruptSuffix);
            File.Move(run, run + CorruptSuffix, overwrite: true);
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Path} cannot be read; the run is left out, and moved to {Aside}")]
    private partial void LogCorrupt(Exception e, string path, string aside);
}
