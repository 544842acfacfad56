using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// A Wasserstein critic's loss with gradient penalty (Gulrajani 2017) and their gradients on the CPU, in managed code on
/// several threads. Between its layers it has functions of straight pieces, so that its gradient by a row is a product
/// of the weights, and the penalty's gradient is found by sending what the penalty makes of that gradient through the
/// same layers again: once more forward, without biases, each unit on the piece on which it was.
/// </summary>
internal sealed unsafe class CriticStep : IDisposable
{
    private const float Tiny = 1e-12f;

    private readonly PerceptronStep _critic;
    private readonly int _width;
    private readonly WorkTeam _team;
    private readonly double[] _games, _penalties; // of each thread

    /// <param name="shape">The networks' sizes; without conditions and spectral normalisation.</param>
    /// <param name="packs">The most packs of each kind in a step.</param>
    /// <param name="threads">How many threads compute.</param>
    public CriticStep(GanShape shape, int packs, int threads)
    {
        Packs = packs;
        int[] widths = shape.DiscriminatorWidths;
        _width = widths[0];
        Activation[] hidden = [.. shape.DiscriminatorLayers.Select(_ => shape.Activation)];
        _critic = new(1, widths, [.. hidden, Activation.Identity], 3 * packs, threads);
        (_games, _penalties) = (new double[threads], new double[threads]);
        _team = new WorkTeam(threads);
    }

    /// <summary>The most packs of each kind in a step.</summary>
    public int Packs { get; }

    /// <summary>Whether it can compute a critic of this shape.</summary>
    public static bool Fits(GanShape shape) =>
        shape is { SpectralNormalization: false, ConditionWidth: 0 }
        && shape.Activation is Activation.Relu or Activation.LeakyRelu or Activation.Identity;

    /// <summary>
    /// The mean over generated packs less the mean over real ones, and the penalty; adds their gradients to the layers'.
    /// </summary>
    /// <param name="layers">The critic's tensors, from the input on.</param>
    /// <param name="real">(P, p·D).</param>
    /// <param name="generated">(P, p·D).</param>
    /// <param name="between">Where the penalty looks, (P, p·D).</param>
    /// <param name="penaltyWeight">What the penalty counts.</param>
    /// <param name="share">What the gradients are multiplied by.</param>
    public (double Game, double Penalty) Run(
        IReadOnlyList<(torch.Tensor Weight, torch.Tensor Bias)> layers, torch.Tensor real, torch.Tensor generated,
        torch.Tensor between, double penaltyWeight, double share)
    {
        int packs = (int)(real.numel() / _width);
        _critic.Take(layers);
        Array.Clear(_games);
        Array.Clear(_penalties);
        HostArray[] kinds = [HostArray.Of(real), HostArray.Of(generated), HostArray.Of(between)];
        float slope = (float)(share / packs), penaltySlope = (float)(share * penaltyWeight / packs);
        _team.Run(worker =>
        {
            _critic.Pack(_team, worker);
            _team.Wait();
            (int first, int end) = _team.Share(packs, worker, 12);
            int count = end - first;
            for (int kind = 0; kind < 3; kind++)
            {
                int row = kind * packs + first;
                new ReadOnlySpan<float>(kinds[kind].At((nint)first * _width), count * _width)
                    .CopyTo(new Span<float>(_critic.Input(0, row), count * _width));
                _critic.Forward(0, row, count);
                var outputs = new ReadOnlySpan<float>(_critic.Output(0, row), count);
                var slopes = new Span<float>(_critic.OutputSlope(0, row), count);
                if (kind < 2)
                {
                    float sign = kind == 0 ? -1 : 1;
                    foreach (float output in outputs)
                        _games[worker] += sign * output;
                    slopes.Fill(sign * slope);
                    _critic.Back(0, row, count);
                    continue;
                }
                slopes.Fill(1);
                _critic.Back(0, row, count, toInput: true);
                for (int i = 0; i < count; i++)
                    _penalties[worker] += Penalty(row + i, penaltySlope);
                _critic.Again(row, count);
            }
            _team.Wait();
            _critic.Gradient(2 * packs, _team, worker);
            _critic.GradientAgain(2 * packs, packs, _team, worker);
        });
        return (_games.Sum() / packs, _penalties.Sum() / packs * penaltyWeight);
    }

    public void Dispose() => _team.Dispose();

    /// <summary>A pack's penalty; puts its gradient by the critic's gradient where that is sent on from.</summary>
    private double Penalty(int row, float factor)
    {
        float* slopes = _critic.InputSlope(0, row), onwards = _critic.Onwards(row);
        double squares = Tiny;
        for (int i = 0; i < _width; i++)
            squares += (double)slopes[i] * slopes[i];
        double norm = Math.Sqrt(squares);
        float scale = (float)(2 * (norm - 1) / norm) * factor;
        for (int i = 0; i < _width; i++)
            onwards[i] = scale * slopes[i];
        return (norm - 1) * (norm - 1);
    }
}
