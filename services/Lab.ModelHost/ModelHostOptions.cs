using System.ComponentModel.DataAnnotations;

namespace Lab.ModelHost;

/// <summary>The limits of the service, in the configuration section "ModelHost".</summary>
public sealed class ModelHostOptions
{
    /// <summary>The configuration section.</summary>
    public const string Section = "ModelHost";

    /// <summary>The most bytes of tensors that one run may send.</summary>
    /// <value>The default value is 1 GiB; at most 2,147,483,591.</value>
    [Range(1, 0x7FFF_FFC7)]
    public long MaxRequestBytes { get; set; } = 1L << 30;

    /// <summary>The most bytes that all runs together may hold: tensors until their readers took them, what requests bring from the store, and statistics.</summary>
    /// <value>The default value is 4 GiB.</value>
    [Range(1, long.MaxValue)]
    public long MaxHeldBytes { get; set; } = 4L << 30;

    /// <summary>The most bytes of keys and values that all generations together may hold.</summary>
    /// <value>The default value is 4 GiB.</value>
    [Range(1, long.MaxValue)]
    public long MaxCacheBytes { get; set; } = 4L << 30;

    /// <summary>The most bytes that the largest intermediate tensor of a pass may have.</summary>
    /// <value>The default value is 4 GiB.</value>
    [Range(1, long.MaxValue)]
    public long MaxIntermediateBytes { get; set; } = 4L << 30;

    /// <summary>The most bytes of activations that a backward pass may need to be kept; an estimate is compared with it.</summary>
    /// <value>The default value is 4 GiB.</value>
    [Range(1, long.MaxValue)]
    public long MaxGraphBytes { get; set; } = 4L << 30;

    /// <summary>The most bytes that the weights of all models may take; the one that was used least recently makes room.</summary>
    /// <value>The default value is 0: 70 % of the memory that this process may use.</value>
    [Range(0, long.MaxValue)]
    public long MaxModelBytes { get; set; }

    /// <summary>The folders that models may be loaded from, with all folders in them. "/" allows every folder.</summary>
    /// <value>Empty by default: models come from the store only.</value>
    public string[] ModelFolders { get; set; } = [];

    /// <summary>The most requests of one stream of RunMany that go on at a time.</summary>
    /// <value>The default value is 32.</value>
    [Range(1, 1024)]
    public int MaxStreamRequests { get; set; } = 32;

    /// <summary>The most requests that may wait for one model.</summary>
    /// <value>The default value is 256.</value>
    [Range(1, 65536)]
    public int QueueCapacity { get; set; } = 256;

    /// <summary>The most tokens that may wait for one model, padding included; a request that finds none waiting is taken whatever its size.</summary>
    /// <value>The default value is 1,048,576.</value>
    [Range(1, long.MaxValue)]
    public long MaxQueuedTokens { get; set; } = 1 << 20;

    /// <summary>The most tokens of a pass that several requests share, padding included.</summary>
    /// <value>The default value is 2048.</value>
    [Range(1, int.MaxValue)]
    public int MaxBatchTokens { get; set; } = 2048;

    /// <summary>
    /// What reading the weights once more costs, in tokens: a request joins a pass only if that adds at most so many tokens of padding.
    /// </summary>
    /// <value>The default value is 16, as on CPUs. Accelerators gain by more.</value>
    [Range(0, int.MaxValue)]
    public int PassOverheadTokens { get; set; } = 16;
}
