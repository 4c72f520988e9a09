using Lab.ModelHost.Generation;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Mapping;

/// <summary>Generation.</summary>
internal static class GenerationMapping
{
    private const int DefaultNewTokens = 16;

    /// <summary>What a request asks for, all but its interventions checked against the model.</summary>
    public static GenerationOrder ToOrder(this GenerateRequest request, ResidentModel model)
    {
        Unsupported.Require(request.TopP is 0 or 1, "top_p");
        Unsupported.Require(request.StopTexts.Count == 0, "stop_texts");
        Unsupported.Require(request.TopLogprobs == 0, "top_logprobs");
        Unsupported.Require(request.Captures.Count == 0, "captures");
        Unsupported.Require(request.WeightEdits.Count == 0, "weight_edits");
        Unsupported.Require(request.Budget is null, "budget");
        Unsupported.Require(request.Priority is Priority.Unspecified or Priority.Normal, "priority");
        if (request.MaxNewTokens < 0) throw new InvalidRequestException("max_new_tokens", "It must not be negative.");
        if (!float.IsFinite(request.Temperature) || request.Temperature < 0) throw new InvalidRequestException("temperature", "It must be finite and not negative.");
        if (request.TopK < 0) throw new InvalidRequestException("top_k", "It must not be negative.");
        for (int i = 0; i < request.StopTokens.Count; i++)
        {
            if ((uint)request.StopTokens[i] >= (uint)model.Config.DVocab)
            {
                throw new InvalidRequestException($"stop_tokens[{i}]", $"Token {request.StopTokens[i]} is out of range: the vocabulary has {model.Config.DVocab} tokens, from 0.");
            }
        }

        TokenBatch prompt = request.Prompt.ToBatch(model, "prompt");
        if (prompt.Count != 1) throw new InvalidRequestException("prompt", $"A prompt is one row or text, not {prompt.Count}.");
        int newTokens = request.MaxNewTokens == 0 ? DefaultNewTokens : request.MaxNewTokens;
        if ((long)prompt.Length + newTokens > model.Config.NCtx)
        {
            throw new InvalidRequestException("max_new_tokens", $"{prompt.Length} tokens of prompt and {newTokens} new ones exceed the model's context of {model.Config.NCtx}.");
        }

        return new GenerationOrder(
            prompt.Rows[0], newTokens, request.Temperature, request.TopK, request.Seed, request.Interventions.ToCore("interventions"), request.StopTokens.ToHashSet());
    }

    public static GenerateResponse ToResponse(this GeneratedToken token, ResidentModel model) =>
        new() { Token = new SampledToken { Step = token.Step, Id = token.Id, Text = model.TextOf(token.Id), Logprob = token.LogProbability } };
}
