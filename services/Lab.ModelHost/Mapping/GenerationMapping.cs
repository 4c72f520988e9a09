using Lab.ModelHost.Generation;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.Models.Interventions;
using Lab.Models.Interventions.Messages;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.ModelHost.Mapping;

/// <summary>Generation.</summary>
internal static class GenerationMapping
{
    private const int DefaultNewTokens = 16;
    private const int MaxTopLogprobs = 100;
    private const int MaxStopTexts = 64;

    /// <summary>What a request asks for, all but its selectors and values checked against the model.</summary>
    public static GenerationOrder ToOrder(this GenerateRequest request, ResidentModel model)
    {
        if (request.MaxNewTokens < 0) throw new InvalidRequestException("max_new_tokens", "It must not be negative.");
        if (request.TopLogprobs is < 0 or > MaxTopLogprobs) throw new InvalidRequestException("top_logprobs", $"It must be from 0 to {MaxTopLogprobs}.");
        TokenBatch prompt = request.Prompt.ToBatch(model, "prompt");
        if (prompt.Count != 1) throw new InvalidRequestException("prompt", $"A prompt is one row, text or chat, not {prompt.Count}.");
        int newTokens = request.MaxNewTokens == 0 ? DefaultNewTokens : request.MaxNewTokens;
        if ((long)prompt.Length + newTokens > model.Config.NCtx)
        {
            throw new InvalidRequestException("max_new_tokens", $"{prompt.Length} tokens of prompt and {newTokens} new ones exceed the model's context of {model.Config.NCtx}.");
        }

        RunOrder prefill = new(
            prompt,
            request.Captures.ToCore("captures"),
            request.Interventions.ToCore("interventions"),
            LogitsSelection.None,
            request.DataType.ToCaptureType(model, "data_type"),
            request.Budget.ToLimits("budget"),
            request.Priority.ToCore("priority"),
            "")
        {
            Edits = request.WeightEdits.ToCore("weight_edits"),
        };
        return new GenerationOrder(prefill, newTokens, request.ToSampling())
        {
            StopTokens = new HashSet<int>([.. StopTokens(request, model), .. request.IgnoreEos ? [] : model.Tokenizer?.SpecialTokens.Stops ?? []]),
            StopTexts = StopTexts(request, model),
            TopLogprobs = request.TopLogprobs,
        };
    }

    public static GenerateStarted ToStarted(this GenerationPlan plan, ResidentModel model, GenerateRequest request) => new()
    {
        ModelDigest = model.Digest,
        Prompt = plan.Order.Prefill.Batch.ToRows().Single(),
        InterventionHashes = { request.Interventions.Select(intervention => intervention.Hash()) },
        WeightEditHashes = { request.WeightEdits.Select(edit => edit.Hash()) },
        ModelDataType = model.Facts.Type.ToProto(),
    };

    public static SampledToken ToMessage(this GeneratedToken token, ResidentModel model) => new()
    {
        Step = token.Step,
        Id = token.Id,
        Text = token.Text,
        Logprob = token.LogProbability,
        Top = { token.Top.Select(top => new TokenLogprob { Id = top.Id, Text = model.TextOf(top.Id), Logprob = top.LogProbability }) },
    };

    public static GenerateFinished ToMessage(this GenerationResult result) => new()
    {
        Reason = result.Reason switch
        {
            GenerationEnd.StopToken => FinishReason.StopToken,
            GenerationEnd.StopText => FinishReason.StopText,
            _ => FinishReason.MaxNewTokens,
        },
        Text = result.Text,
        FireCounts = { result.FireCounts },
        WeightEditFireCounts = { result.EditFireCounts },
        QueueMs = result.QueueTime.TotalMilliseconds,
        ComputeMs = result.ComputeTime.TotalMilliseconds,
        BatchedRequests = result.Requests,
    };

    private static SamplingOptions ToSampling(this GenerateRequest request)
    {
        if (!float.IsFinite(request.Temperature) || request.Temperature < 0) throw new InvalidRequestException("temperature", "It must be finite and not negative.");
        if (request.TopK < 0) throw new InvalidRequestException("top_k", "It must not be negative.");
        if (request.TopP is not (>= 0 and <= 1)) throw new InvalidRequestException("top_p", "It must be above 0 and at most 1; 0 means 1.");
        return new SamplingOptions(request.Temperature, request.TopK, request.TopP == 0 ? 1 : request.TopP, request.Seed);
    }

    private static int[] StopTokens(GenerateRequest request, ResidentModel model)
    {
        for (int i = 0; i < request.StopTokens.Count; i++)
        {
            if ((uint)request.StopTokens[i] >= (uint)model.Config.DVocab)
            {
                throw new InvalidRequestException($"stop_tokens[{i}]", $"Token {request.StopTokens[i]} is out of range: the vocabulary has {model.Config.DVocab} tokens, from 0.");
            }
        }

        return [.. request.StopTokens];
    }

    private static string[] StopTexts(GenerateRequest request, ResidentModel model)
    {
        if (request.StopTexts.Count == 0) return [];
        _ = model.TokenizerOf();
        if (request.StopTexts.Count > MaxStopTexts) throw new InvalidRequestException("stop_texts", $"There are {request.StopTexts.Count}; the most is {MaxStopTexts}.");
        for (int i = 0; i < request.StopTexts.Count; i++)
        {
            if (request.StopTexts[i].Length == 0) throw new InvalidRequestException($"stop_texts[{i}]", "The text is empty.");
        }

        return [.. request.StopTexts];
    }
}
