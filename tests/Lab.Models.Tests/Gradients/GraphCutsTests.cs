using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Gradients;

public sealed class GraphCutsTests
{
    /// <summary>Three parts, with one tensor that goes past both cuts and one that is a target on the way.</summary>
    private static (Tensor Values, Tensor[] Nodes) Graph(Func<Tensor, Tensor> cut, Func<Tensor, Tensor>? leaf = null)
    {
        using var scope = NewDisposeScope();
        Tensor a = tensor([0.5, -1.5, 2], requires_grad: true), b = tensor([0.25, 1, -2], requires_grad: true), unused = tensor([1.0], requires_grad: true);
        Tensor past = a.exp();
        Tensor x = cut((a * b).tanh());
        Tensor middle = x.square() + past;
        if (leaf is not null) middle = leaf(middle);
        Tensor y = cut(middle * b);
        Tensor values = (y * y).sin() + past * x;
        scope.Detach(values, a, b, unused);
        if (leaf is null) scope.Detach(middle);
        return (values, [a, b, unused, middle]);
    }

    [Fact]
    public void Backward_WithCuts_EqualsTheWholeGraph()
    {
        using var scope = NewDisposeScope();
        using GraphCuts none = new(), cuts = new();
        (Tensor values, Tensor[] nodes) = Graph(x => x);
        none.Backward(values, CancellationToken.None);

        (Tensor cutValues, Tensor[] cutNodes) = Graph(cuts.Cut, cuts.Leaf);
        cuts.Backward(cutValues, CancellationToken.None);

        cutNodes[2].grad.ShouldBeNull();
        foreach (int i in (int[])[0, 1]) cutNodes[i].grad!.data<double>().ToArray().ShouldBe(nodes[i].grad!.data<double>().ToArray(), 1e-12);
        // That of the cut in the middle, by hand: 2 y cos(y^2) b.
        Tensor b = nodes[1].detach(), y = cutNodes[3].detach() * b, byHand = 2 * y * (y * y).cos() * b;
        cutNodes[3].grad!.data<double>().ToArray().ShouldBe(byHand.data<double>().ToArray(), 1e-12);
        foreach (Tensor tensor in (Tensor[])[values, cutValues, .. nodes, .. cutNodes]) tensor.Dispose();
    }

    [Fact]
    public void Backward_CancelledOnTheWay_EndsAtTheNextCutAndLeavesNothing()
    {
        using CancellationTokenSource cancel = new();
        List<int> visited = [];
        Run();
        long before = Tensor.TotalCount;

        Should.Throw<OperationCanceledException>(Run);

        visited.ShouldBe([2, 1, 0, 2, 1]);

        void Run()
        {
            using var scope = NewDisposeScope();
            using GraphCuts cuts = new();
            Tensor leaf = ones(2, requires_grad: true), x = leaf;
            for (int i = 0; i < 3; i++)
            {
                int part = i;
                x = cuts.Cut(Watched.Apply(x, () =>
                {
                    visited.Add(part);
                    if (part == 1 && visited.Count > 3) cancel.Cancel();
                }));
            }

            cuts.Backward(x, cancel.Token);
        }
    }

    [Theory]
    [InlineData("hook_embed", 2)]
    [InlineData("blocks.0.hook_resid_post", 1)]
    [InlineData("blocks.1.hook_mlp_out", 1)]
    public void Forward_WithATap_IsCutBehindEachLayerThatHasAGraph(string hook, int cut)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        using GraphCuts cuts = new();
        using Transformer model = FamilyConfigs.New("gpt2");
        int wanted = model.Hooks.All.Single(point => point.Name == hook).Index;
        using InterventionTap interventions = new([], [3]);
        using GradientTap tap = new(interventions, new HashSet<int> { wanted }, [], 1, false, new CaptureTap([], TensorDataType.Float32, _ => { }), cuts, model.Hooks, CancellationToken.None);

        model.Forward(new ForwardInput(tensor([1L, 2, 3]).view(1, 3)), tap);

        cuts.Count.ShouldBe(cut);
    }

    [Fact]
    public void Cut_TensorWithoutAGraph_IsItself()
    {
        using var scope = NewDisposeScope();
        using GraphCuts cuts = new();
        Tensor constant = ones(2), leaf = ones(2, requires_grad: true);

        cuts.Cut(constant).ShouldBeSameAs(constant);
        cuts.Cut(leaf).ShouldBeSameAs(leaf);
    }

    /// <summary>Twice its input; tells when it is gone back through.</summary>
    private sealed class Watched : autograd.SingleTensorFunction<Watched>
    {
        public override string Name => nameof(Watched);

        public static Tensor Apply(Tensor x, Action visited) => apply(x, visited);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("visited", vars[1]);
            return ((Tensor)vars[0]) * 2;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient)
        {
            ((Action)ctx.get_data("visited"))();
            return [gradient * 2, null!];
        }
    }
}
