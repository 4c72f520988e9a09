using Lab.ServiceDefaults.Errors;
using Lab.SparseTraining.Corpora;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class CorpusMappingTests
{
    [Fact]
    public void ToCore_Mix_KeepsSourcesWeightsAndTheirFields()
    {
        var config = new Proto.CorpusConfig
        {
            Mix = new Proto.MixSource
            {
                Parts =
                {
                    new Proto.MixPart { PythonStandardLibrary = new(), Weight = 2.5 },
                    new Proto.MixPart { Idioms = new() { Bytes = 7, IdiomWeights = { ["var_swap"] = 3 } } },
                },
            },
        };

        var mix = CorpusMapping.ToCore(config).Source.ShouldBeOfType<MixSource>();

        mix.Parts.Select(part => part.Weight).ShouldBe([2.5, 1]);
        mix.Parts[0].Source.ShouldBeOfType<PythonStandardLibrarySource>();
        var idioms = mix.Parts[1].Source.ShouldBeOfType<IdiomSource>();
        (idioms.Bytes, idioms.Weights["var_swap"], idioms.Field).ShouldBe((7, 3.0, "config.mix.parts[1].idioms"));
    }

    [Fact]
    public void Validate_PartOfWeightZero_NamesThePlace()
    {
        var config = new Proto.CorpusConfig { Mix = new() { Parts = { new Proto.MixPart { Idioms = new(), Weight = 0 } } } };

        Should.Throw<ArgumentException>(() => CorpusMapping.Validate(config)).ParamName.ShouldBe("config.mix.parts[0].weight");
    }

    [Fact]
    public void Validate_UnknownIdiomInAMix_NamesThePlace()
    {
        var config = new Proto.CorpusConfig
        {
            Mix = new() { Parts = { new Proto.MixPart { Idioms = new() { IdiomWeights = { ["swap"] = 1 } } } } },
        };

        ArgumentException error = Should.Throw<ArgumentException>(() => CorpusMapping.Validate(config));

        error.ParamName.ShouldBe("config.mix.parts[0].idioms.idiom_weights");
        error.Message.ShouldContain("var_swap");
    }

    [Fact]
    public void Validate_PartWithoutSource_NamesThePlace()
    {
        var config = new Proto.CorpusConfig { Mix = new() { Parts = { new Proto.MixPart() } } };

        Should.Throw<InvalidRequestException>(() => CorpusMapping.Validate(config)).Message.ShouldContain("idioms");
    }
}
