namespace Lab.ModelHost.Passes;

/// <summary>What a request may cost at most; 0 for no limit but the service's own.</summary>
/// <param name="MaxBytes">Bytes of tensors to send.</param>
/// <param name="MaxTokens">Tokens to process.</param>
/// <param name="MaxTime">Time on the model's thread.</param>
internal readonly record struct RequestLimits(long MaxBytes, long MaxTokens, TimeSpan MaxTime);
