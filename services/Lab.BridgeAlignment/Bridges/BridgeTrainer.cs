using Lab.Models;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>
/// Trains a bridge with Adam on the sum of the NMSE of all maps. The maps are linear, so gradients are written out: twice the
/// error over the spread of the target, which is a constant (detached). The first batch decides where each map starts, and the
/// scale of its steps: the learning rate is that of maps between residuals of RMS 1. One thread owns a trainer.
/// </summary>
internal sealed class BridgeTrainer : IDisposable
{
    private readonly Bridge _bridge;
    private readonly long _steps;
    private readonly double _learningRate;
    private readonly Dictionary<Tensor, Moments> _moments;
    private bool _isBegun;

    /// <summary>A trainer that starts at step 0.</summary>
    /// <param name="bridge">What is trained; the caller owns it.</param>
    /// <param name="steps">The number of steps over which the learning rate decays linearly to 0.</param>
    /// <param name="learningRate">The learning rate of the first step.</param>
    public BridgeTrainer(Bridge bridge, long steps, double learningRate)
    {
        _bridge = bridge;
        _steps = steps;
        _learningRate = learningRate;
        _moments = bridge.Parameters.ToDictionary<NamedParameter, Tensor, Moments>(parameter => parameter.Value, parameter => new Moments(parameter), ReferenceEqualityComparer.Instance);
    }

    /// <summary>Steps taken.</summary>
    public long Step { get; private set; }

    /// <summary>Starts all maps at the regression of a batch. The first step does it with its own batch unless it was done before.</summary>
    /// <inheritdoc cref="Train"/>
    public void Begin(IReadOnlyList<HostTensor> dense, IReadOnlyList<HostTensor> sparse)
    {
        _isBegun = true;
        for (int site = 0; site < _bridge.Sites.Count; site++)
        {
            using var scope = NewDisposeScope();
            Tensor denseRows = Rows(dense[site]), sparseRows = Rows(sparse[site]);                        // (N, Cd), (N, Cs)
            try
            {
                Begin(_bridge.Sites[site].Encoder, denseRows, sparseRows);
                Begin(_bridge.Sites[site].Decoder, sparseRows, denseRows);
            }
            catch (InvalidDataException e)
            {
                throw new InvalidDataException($"No map can begin at {_bridge.Sites[site].Hook}: {e.Message}", e);
            }
        }
    }

    /// <summary>Takes one step.</summary>
    /// <param name="dense">The dense model's residuals at each site, [rows, positions, width] or [tokens, width].</param>
    /// <param name="sparse">The sparse model's residuals of the same tokens.</param>
    /// <returns>The sum over all sites of both NMSE, before the step.</returns>
    /// <exception cref="InvalidDataException">The loss at a site is not finite; the message names step and site.</exception>
    public double Train(IReadOnlyList<HostTensor> dense, IReadOnlyList<HostTensor> sparse)
    {
        if (!_isBegun) Begin(dense, sparse);
        double rate = _learningRate * (1 - (double)Step / _steps);
        Step++;
        double loss = 0;
        for (int site = 0; site < _bridge.Sites.Count; site++)
        {
            using var scope = NewDisposeScope();
            Tensor denseRows = Rows(dense[site]), sparseRows = Rows(sparse[site]);                        // (N, Cd), (N, Cs)
            BridgeSite maps = _bridge.Sites[site];
            double siteLoss = Fit(maps.Encoder, denseRows, sparseRows, _bridge.Shape.Kept, rate) + Fit(maps.Decoder, sparseRows, denseRows, _bridge.Shape.DenseWidth, rate);
            if (!double.IsFinite(siteLoss)) throw new InvalidDataException($"The loss at {maps.Hook} is {siteLoss} in step {Step}.");
            loss += siteLoss;
        }

        return loss;
    }

    /// <summary>Copies parameters and moments.</summary>
    public IReadOnlyList<HostTensor> Save() =>
    [
        .. _bridge.Save(),
        .. _moments.Values.SelectMany(moments => moments.Save()),
    ];

    /// <summary>Goes back to what <see cref="Save"/> copied.</summary>
    /// <param name="step">The steps that had been taken.</param>
    /// <param name="read">Gives a tensor by its name.</param>
    public void Restore(long step, Func<string, HostTensor> read)
    {
        using var scope = NewDisposeScope();
        foreach (NamedParameter parameter in _bridge.Parameters)
        {
            _ = parameter.Value.copy_(read(parameter.Name).ToTorch());
            _moments[parameter.Value].Restore(read);
        }

        Step = step;
        _isBegun = true;
    }

    public void Dispose()
    {
        foreach (Moments moments in _moments.Values) moments.Dispose();
    }

    private void Begin(LinearMap map, Tensor input, Tensor target)
    {
        RidgeRegression.Solve(map, input, target);
        double inputScale = Math.Sqrt(Nmse.SquaredNorm(input) / input.numel()), targetScale = Math.Sqrt(Nmse.SquaredNorm(target) / target.numel());
        _moments[map.Weight].Scale = (float)(targetScale / inputScale);
        _moments[map.Bias].Scale = (float)targetScale;
    }

    private double Fit(LinearMap map, Tensor input, Tensor target, int kept, double rate)
    {
        double spread = Nmse.Spread(target);
        Tensor prediction = map.Apply(input);                                                            // (N, out)
        Tensor? mask = kept < target.shape[1] ? AbsTopK.Mask(prediction, kept) : null;
        Tensor error = (mask is null ? prediction : prediction.mul_(mask)).sub_(target);
        double nmse = Nmse.SquaredNorm(error) / spread;
        if (mask is not null) _ = error.mul_(mask);                                                      // AbsTopK passes gradients to kept entries only
        Update(map.Weight, error.t().mm(input), 2 / spread, rate);
        Update(map.Bias, error.sum([0]), 2 / spread, rate);
        return nmse;
    }

    private void Update(Tensor parameter, Tensor gradient, double scale, double rate)
    {
        Moments moments = _moments[parameter];
        AdamStep.Apply(parameter, gradient, moments.First, moments.Second, new AdamConstants(rate * moments.Scale, 0.9, 0.999, 1e-8, scale, Step));
    }

    private Tensor Rows(HostTensor residual) => residual.ToTorch(_bridge.Device).view(-1, residual.Shape[^1]);

    /// <summary>What Adam keeps of one parameter.</summary>
    private sealed class Moments(NamedParameter parameter) : IDisposable
    {
        public Tensor First { get; } = zeros_like(parameter.Value).DetachFromDisposeScope();

        public Tensor Second { get; } = zeros_like(parameter.Value).DetachFromDisposeScope();

        /// <summary>Multiplies the learning rate.</summary>
        public float Scale { get; set; } = 1;

        public HostTensor[] Save() =>
            [First.ToHost($"{parameter.Name}.m"), Second.ToHost($"{parameter.Name}.v"), HostTensor.FromFloats($"{parameter.Name}.scale", [Scale])];

        public void Restore(Func<string, HostTensor> read)
        {
            _ = First.copy_(read($"{parameter.Name}.m").ToTorch());
            _ = Second.copy_(read($"{parameter.Name}.v").ToTorch());
            Scale = read($"{parameter.Name}.scale").Floats[0];
        }

        public void Dispose()
        {
            First.Dispose();
            Second.Dispose();
        }
    }
}
