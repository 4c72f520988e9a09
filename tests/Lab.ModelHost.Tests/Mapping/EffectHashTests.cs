using System.Security.Cryptography;
using Google.Protobuf;
using Lab.ModelHost.Mapping;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Tensor = Lab.Protos.Tensor.V1.Tensor;

namespace Lab.ModelHost.Tests.Mapping;

public sealed class EffectHashTests
{
    private static readonly byte[] Data = [0, 0, 128, 63, 0, 0, 0, 64];

    [Fact]
    public void Hash_Intervention_IsThatOfTheSerializationWithDigestsForData()
    {
        Intervention canonical = Steer();
        canonical.Add.Value.Inline.Data = ByteString.CopyFrom(SHA256.HashData(Data));

        Steer().Hash().ShouldBe(Convert.ToHexStringLower(SHA256.HashData(canonical.ToByteArray())));
    }

    [Fact]
    public void Hash_WhatChangesNoEffect_IsLeftOut()
    {
        Intervention named = Steer();
        named.AllowUnfired = true;
        named.Add.Value.Inline.Name = "steering";

        // A field of number 1000 that no version knows.
        Intervention newer = Intervention.Parser.ParseFrom([.. Steer().ToByteArray(), 0xC0, 0x3E, 0x01]);

        named.Hash().ShouldBe(Steer().Hash());
        newer.ShouldNotBe(Steer());
        newer.Hash().ShouldBe(Steer().Hash());
    }

    [Fact]
    public void Hash_FieldsInAnyOrder_IsTheSame()
    {
        Intervention steer = Steer();
        byte[] selector = new Intervention { Selector = steer.Selector }.ToByteArray(), operation = new Intervention { Add = steer.Add }.ToByteArray();

        Intervention.Parser.ParseFrom([.. operation, .. selector]).Hash().ShouldBe(steer.Hash());
    }

    [Fact]
    public void Hash_WhatChangesTheEffect_ChangesIt()
    {
        Action<Intervention>[] changes =
        [
            steer => steer.Selector.Positions[0] = 1,
            steer => steer.Add.Coefficient = 2,
            steer => steer.Add.Value.Inline.Shape[0] = 1,
            steer => steer.Add.Value.Inline.Data = ByteString.CopyFrom([0, 0, 128, 63, 0, 0, 0, 65]),
            steer => steer.Add.Unit = StrengthUnit.ResidualNorm,
            steer => steer.Set = new SetOperation { Value = steer.Add.Value },
        ];

        string[] hashes = [Steer().Hash(), .. changes.Select(change =>
        {
            Intervention changed = Steer();
            change(changed);
            return changed.Hash();
        })];

        hashes.ShouldBeUnique();
    }

    [Fact]
    public void Hash_WeightEdit_LeavesOutWhatChangesNoEffect()
    {
        WeightEdit Edit() => new() { Parameter = "model.norm.weight", Bias = new TensorSource { Inline = Value() } };
        WeightEdit other = Edit(), tolerant = Edit();
        tolerant.AllowUnfired = true;
        other.Coefficient = 2;

        tolerant.Hash().ShouldBe(Edit().Hash());
        other.Hash().ShouldNotBe(Edit().Hash());
    }

    private static Intervention Steer() => new()
    {
        Selector = new Selector { Hook = "hook_embed", Positions = { 3 } },
        Add = new AddOperation { Value = new TensorSource { Inline = Value() }, Coefficient = 0.5f },
    };

    private static Tensor Value() => new() { DataType = DataType.Fp32, Shape = { 2 }, Data = ByteString.CopyFrom(Data) };
}
