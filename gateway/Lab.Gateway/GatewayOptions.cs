using System.ComponentModel.DataAnnotations;

namespace Lab.Gateway;

/// <summary>What the gateway is told, in the configuration section "Lab:Gateway".</summary>
internal sealed class GatewayOptions
{
    public const string Section = "Lab:Gateway";

    /// <summary>How many steps of one run are worked on at a time. On one machine, services share its cores: more only helps with more machines.</summary>
    /// <value>The default value is 1.</value>
    [Range(1, 256)]
    public int MaxParallelSteps { get; set; } = 1;

    /// <summary>The folder of the experiments that can be run by name, *.yaml.</summary>
    /// <value>The default value is "experiments" beside the program.</value>
    [Required]
    public string Experiments { get; set; } = Path.Combine(AppContext.BaseDirectory, "experiments");
}
