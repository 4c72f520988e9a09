namespace Lab.EndToEnd.Tests.Architecture;

/// <summary>Every element of the API is described where it stands.</summary>
public sealed class ProtoTests
{
    public static TheoryData<string> Protos => [.. Repository.Files("*.proto").Select(Repository.Relative)];

    [Theory]
    [MemberData(nameof(Protos))]
    public void Elements_EachOfThem_HasACommentDirectlyAbove(string path)
    {
        var elements = ProtoFile.Elements(File.ReadAllLines(Path.Combine(Repository.Root, path))).ToArray();
        elements.ShouldNotBeEmpty();
        elements.Where(element => !element.HasComment).Select(element => $"{path}:{element.Line}: {element.Text}").ShouldBeEmpty();
    }

    [Fact]
    public void Elements_Sample_AreAllFound()
    {
        string[] sample = """
            syntax = "proto3";
            import "a.proto";
            // Described.
            service A {
              rpc B(C) returns (D); // not above
              // Described,
              // in two lines.
              rpc E(stream C)
                  returns (D) {
                option deprecated = true;
              }
            }

            // Set apart.

            message F {
              reserved 2;
              oneof g {
                // "A string: // is no comment".
                string h = 1 [json_name = "//"];
              }
              map<string, double> i = 3;
              message J {}
            }
            enum K {
              // Described.
              L = 0;
              M = 1;
            }
            """.Split('\n');

        ProtoFile.Elements(sample).Where(element => element.HasComment).Select(element => element.Text).ShouldBe(
            ["service A {", "rpc E(stream C)", "string h = 1 [json_name = \"//\"];", "L = 0;"]);
        ProtoFile.Elements(sample).Where(element => !element.HasComment).Select(element => element.Text).ShouldBe(
            ["rpc B(C) returns (D);", "message F {", "oneof g {", "map<string, double> i = 3;", "message J {}", "enum K {", "M = 1;"]);
    }
}
