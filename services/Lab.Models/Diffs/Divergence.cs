namespace Lab.Models.Diffs;

/// <summary>Which divergences KL(clean || changed) of next-token distributions are measured.</summary>
public enum Divergence
{
    /// <summary>None.</summary>
    None,

    /// <summary>Of the model's predictions: [batch, pos].</summary>
    Final,

    /// <summary>Of what each layer's output predicts through the logit lens: [n_layers, batch, pos].</summary>
    LogitLens,
}
