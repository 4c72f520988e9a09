using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.BridgeAlignment.Evaluation;
using Lab.Protos.BridgeAlignment.V1;

namespace Lab.BridgeAlignment.Runs;

/// <summary>Between the protos and the core.</summary>
internal static class AlignmentMapping
{
    /// <summary>The config as JSON, for the provenance.</summary>
    public static JsonObject ToJson(AlignmentConfig config) => JsonNode.Parse(JsonFormatter.Default.Format(config))!.AsObject();

    /// <summary>Writes the results into a run.</summary>
    public static void Complete(AlignmentRun run, string bridge, BridgeScore score)
    {
        run.Bridge = bridge;
        run.Sites.Clear();
        run.Sites.AddRange(score.Sites.Select(ToSiteEvaluation));
        void Mean(string name, Func<SiteScore, double> value) => run.Status.Metrics[name] = score.Sites.Average(value);
        Mean("encoder_nmse", site => site.EncoderNmse);
        Mean("decoder_nmse", site => site.DecoderNmse);
        Mean("kl_dense_to_sparse", site => site.KlDenseToSparse);
        Mean("kl_sparse_to_dense", site => site.KlSparseToDense);
        Mean("mean_kl_dense_to_sparse", site => site.MeanKlDenseToSparse);
        Mean("mean_kl_sparse_to_dense", site => site.MeanKlSparseToDense);
        run.Status.Metrics["kl_models"] = score.KlModels;
    }

    private static SiteEvaluation ToSiteEvaluation(SiteScore site) => new()
    {
        Hook = site.Hook,
        EncoderNmse = site.EncoderNmse,
        DecoderNmse = site.DecoderNmse,
        KlDenseToSparse = site.KlDenseToSparse,
        KlSparseToDense = site.KlSparseToDense,
        MeanKlDenseToSparse = site.MeanKlDenseToSparse,
        MeanKlSparseToDense = site.MeanKlSparseToDense,
    };
}
