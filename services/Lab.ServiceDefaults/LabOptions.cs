using System.ComponentModel.DataAnnotations;

namespace Lab.ServiceDefaults;

/// <summary>
/// What every part of the lab is told, in the configuration section "Lab": <c>Lab__Data</c> in the environment, <c>--Lab:Data</c> on the
/// command line.
/// </summary>
public sealed class LabOptions
{
    /// <summary>The configuration section.</summary>
    public const string Section = "Lab";

    /// <summary>The folder of runs and artifacts. Once bound it is absolute.</summary>
    /// <value>The default value is "./lab-data".</value>
    [Required]
    public string Data { get; set; } = "./lab-data";

    /// <summary>Where this part listens: "http://{IP address, localhost or *}:{port}" or "http://unix:{path}"; port 0 takes a free one.</summary>
    /// <value>The default value is "http://127.0.0.1:0".</value>
    [Required]
    public string Url { get; set; } = "http://127.0.0.1:0";

    /// <summary>Where the other parts are: part ("ModelHost") to address ("http://127.0.0.1:5101").</summary>
    /// <value>Empty by default.</value>
    public Dictionary<string, string> Services { get; set; } = [];

    /// <summary>Where tensors live: "cpu", "cuda", "cuda:{index}", or "auto" for the first CUDA device where there is one.</summary>
    /// <value>The default value is "auto".</value>
    [RegularExpression("^(auto|cpu|cuda(:[0-9]+)?)$")]
    public string Device { get; set; } = "auto";

    /// <summary>Threads of one tensor operation; 0 takes all cores.</summary>
    /// <value>The default value is 0.</value>
    [Range(0, 1024)]
    public int Threads { get; set; }
}
