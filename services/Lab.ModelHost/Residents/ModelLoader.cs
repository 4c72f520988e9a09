using System.Security.Cryptography;
using System.Text;
using Lab.Artifacts;
using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Checkpoints;
using Lab.Models.Folders;
using Lab.Models.Tokenizers;
using Lab.ServiceDefaults;
using Lab.Tensors;
using Microsoft.Extensions.Options;
using static TorchSharp.torch;

namespace Lab.ModelHost.Residents;

/// <summary>Makes models resident, from the store or from folders.</summary>
internal sealed class ModelLoader(ArtifactStore store, TimeProvider time, IOptions<LabOptions> lab, IOptions<ModelHostOptions> options)
{
    private readonly Device _device = TorchRuntime.Configure(lab.Value.Device, lab.Value.Threads);

    /// <summary>Reads all of a model but its weights, of which it reads what they are.</summary>
    /// <exception cref="InvalidDataException">A file changed, is missing or malformed.</exception>
    public Task<ModelFiles> OpenAsync(ModelSource source, CancellationToken ct) =>
        source.Folder is { } folder ? OpenFolderAsync(source, folder, ct) : OpenArtifactAsync(source, ct);

    /// <summary>Loads the weights.</summary>
    /// <param name="files">The model.</param>
    /// <param name="memory">The memory that was taken for it, which the model gives back at its end.</param>
    /// <param name="progress">Gets the bytes of weights that are there, on another thread.</param>
    /// <param name="ct">Stops it after a tensor.</param>
    /// <exception cref="InvalidDataException">The weights are not those of the config.</exception>
    public async Task<ResidentModel> LoadAsync(ModelFiles files, ModelMemory.Share memory, Action<long> progress, CancellationToken ct)
    {
        TensorWorker worker = new($"model {files.Source.Name}", options.Value.QueueCapacity);
        Transformer? transformer = null;
        bool isLoaded = false;
        try
        {
            ModelFacts facts = await worker.RunAsync(
                token =>
                {
                    transformer = files.Load(_device, progress, token);
                    transformer.UseSparseKernels();
                    return ModelFacts.Of(transformer);
                },
                ct);
            isLoaded = true;
            return new ResidentModel(files.Source, files.Digest, transformer!, files.Tokenizer, worker, facts, memory, time)
            {
                Scheduler = new ModelScheduler(transformer!, worker, options.Value, facts.ParameterCount, time),
            };
        }
        finally
        {
            if (!isLoaded)
            {
                await worker.DisposeAsync();
                transformer?.Dispose();
            }
        }
    }

    private async Task<ModelFiles> OpenArtifactAsync(ModelSource source, CancellationToken ct)
    {
        StoredArtifact artifact = await store.GetAsync(source.Version, ct);
        await store.VerifyAsync(artifact, ct);
        bool Has(string file) => artifact.Files.Any(stored => stored.Path == file);
        string PathOf(string file) => Has(file) ? store.GetPath(artifact, file) : throw new InvalidDataException($"The artifact {artifact.Digest} is no model: it has no file '{file}'.");
        ICorpusTokenizer tokenizer = CorpusTokenizer.Load(Has, PathOf);
        // Of a model in both formats, the lab's own is read; one in openai/circuit_sparsity's alone is served as well.
        bool isTheirs = !Has(TransformerCheckpoint.ConfigFile) && Has(CircuitSparsityFolder.ConfigFile);
        TransformerConfig? own = isTheirs ? null : TransformerCheckpoint.ReadConfig(PathOf(TransformerCheckpoint.ConfigFile));
        ICheckpoint checkpoint = isTheirs ? Checkpoint.OpenPickle(PathOf(CircuitSparsityFolder.WeightsFile)) : Checkpoint.OpenSafetensors(PathOf(TransformerCheckpoint.WeightsFile));
        bool isDone = false;
        try
        {
            TransformerConfig config = own ?? ModelFolder.ReadCircuitSparsityConfig(PathOf(CircuitSparsityFolder.ConfigFile), checkpoint);
            if (tokenizer.VocabSize > config.DVocab) throw new InvalidDataException($"The artifact {artifact.Digest} has a tokenizer of {tokenizer.VocabSize} tokens for a model of {config.DVocab}.");
            isDone = true;
            return new ModelFiles(source, artifact.Digest, config, tokenizer, checkpoint);
        }
        finally
        {
            if (!isDone) checkpoint.Dispose();
        }
    }

    private static async Task<ModelFiles> OpenFolderAsync(ModelSource source, string folder, CancellationToken ct)
    {
        ModelFolder? opened = null;
        bool isDone = false;
        try
        {
            ITokenizer? tokenizer = TokenizerFolder.Load(folder);
            opened = ModelFolder.Open(folder);
            ModelFiles files = new(source, await DigestAsync(folder, opened.Checkpoint, ct), opened.Config, tokenizer, opened.Checkpoint);
            isDone = true;
            return files;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidDataException($"'{source.Name}': {e.Message}", e);
        }
        finally
        {
            if (!isDone) opened?.Dispose();
        }
    }

    /// <summary>The digest of a folder's model: over the names, sizes and contents of its weights and of every text beside them.</summary>
    private static async Task<string> DigestAsync(string folder, ICheckpoint checkpoint, CancellationToken ct)
    {
        IEnumerable<string> texts = Directory.EnumerateFiles(folder).Where(file => Path.GetExtension(file) is ".json" or ".txt" or ".jinja");
        StringBuilder lines = new();
        foreach (string path in checkpoint.Tensors.Values.Select(tensor => tensor.File).Concat(texts).Distinct().OrderBy(Path.GetFileName, StringComparer.Ordinal))
        {
            await using FileStream stream = File.OpenRead(path);
            lines.Append(Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, ct))).Append(' ').Append(stream.Length).Append(' ').Append(Path.GetFileName(path)).Append('\n');
        }

        return "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines.ToString())));
    }
}
