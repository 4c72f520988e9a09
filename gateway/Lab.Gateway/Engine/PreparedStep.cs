using System.Text.Json.Nodes;
using Lab.Gateway.Operations;

namespace Lab.Gateway.Engine;

/// <summary>A step that is ready to be run.</summary>
/// <param name="Operation">What it does.</param>
/// <param name="Inputs">Its inputs: references resolved, artifacts by digest, without "output_name".</param>
/// <param name="OutputName">The name that its artifact shall have; null for none.</param>
/// <param name="Digest">SHA-256 over operation and inputs, in hexadecimal.</param>
/// <param name="IsKept">Whether its result is kept for later runs with equal inputs.</param>
/// <param name="IsShared">Whether a kept result or a run for equal inputs will do.</param>
/// <param name="SharedRunId">The ID of the run that does this work for every experiment run.</param>
/// <param name="OwnRunId">The ID of a run that does it for this experiment run alone.</param>
internal sealed record PreparedStep(
    IOperation Operation, JsonObject Inputs, string? OutputName, string Digest, bool IsKept, bool IsShared, string SharedRunId, string OwnRunId);
