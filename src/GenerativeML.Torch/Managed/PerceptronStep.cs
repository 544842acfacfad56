using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// Networks of linear layers, each followed by a non-linearity or none, several of one shape side by side, in a training step
/// that a <see cref="WorkTeam"/> computes. A thread takes its rows through all layers and back, while they are in its
/// cache; then all make the weights' gradients.
/// </summary>
internal sealed unsafe class PerceptronStep
{
    private readonly int _members, _rows;
    private readonly int[] _widths;
    private readonly Activation[] _activations;
    private readonly DenseStep[] _layers; // of the first member, then of the next

    // (Members, rows, width): the input and what follows each layer, the layers' own sums, the gradients by all of them.
    private readonly AlignedBuffer<float>[] _values, _sums, _slopes;
    private readonly Lazy<AlignedBuffer<float>[]> _directions;
    private readonly AlignedBuffer<float>[] _scratch; // of each thread

    /// <param name="members">Networks side by side.</param>
    /// <param name="widths">Slots of the input, of each layer, and of the output.</param>
    /// <param name="activations">What follows each layer.</param>
    /// <param name="rows">The most rows in a step.</param>
    /// <param name="threads">The team's.</param>
    public PerceptronStep(
        int members, IReadOnlyList<int> widths, IReadOnlyList<Activation> activations, int rows, int threads)
    {
        (_members, _rows) = (members, rows);
        (_widths, _activations) = ([.. widths], [.. activations]);
        int layers = widths.Count - 1;
        _layers = [.. Enumerable.Range(0, members * layers).Select(
            i => new DenseStep(widths[i % layers + 1], widths[i % layers]))];
        _values = [.. widths.Select(Rows)];
        _slopes = [.. widths.Select(Rows)];
        _directions = new(() => [.. _widths.SkipLast(1).Select(Rows)]);
        _sums = [.. _activations.Select(
            (activation, i) => activation == Activation.Identity ? _values[i + 1] : Rows(widths[i + 1]))];
        int length = DenseStep.ScratchLength(widths.Max());
        _scratch = [.. Enumerable.Range(0, threads).Select(_ => new AlignedBuffer<float>(length))];

        AlignedBuffer<float> Rows(int width) => new(checked(members * rows * width));
    }

    private int Layers => _widths.Length - 1;

    /// <summary>Takes the layers' tensors, (Members, outputs, inputs) and (Members, 1, outputs), before all else.</summary>
    public void Take(IReadOnlyList<(torch.Tensor Weight, torch.Tensor Bias)> layers)
    {
        for (int i = 0; i < Layers; i++)
        {
            TrainedArray weight = TrainedArray.Of(layers[i].Weight), bias = TrainedArray.Of(layers[i].Bias);
            (int weights, int biases) = (weight.Length / _members, bias.Length / _members);
            for (int m = 0; m < _members; m++)
            {
                _layers[m * Layers + i].Take(
                    weight.Slice(m * weights, weights), bias.Slice(m * biases, biases));
            }
        }
    }

    /// <summary>A thread's part of laying out the weights.</summary>
    public void Pack(WorkTeam team, int worker)
    {
        (int first, int end) = team.Share(_layers.Length, worker);
        for (int i = first; i < end; i++)
            _layers[i].Pack();
    }

    /// <summary>Where a row of a member's input is.</summary>
    public float* Input(int member, int row) => At(_values, 0, member, row);

    /// <summary>Where a row of a member's output is.</summary>
    public float* Output(int member, int row) => At(_values, Layers, member, row);

    /// <summary>Where the gradient by a row of a member's input is.</summary>
    public float* InputSlope(int member, int row) => At(_slopes, 0, member, row);

    /// <summary>Where the gradient by a row of a member's output is; the way back changes it.</summary>
    public float* OutputSlope(int member, int row) => At(_slopes, Layers, member, row);

    /// <summary>From some rows' inputs to their outputs.</summary>
    public void Forward(int member, int first, int rows)
    {
        for (int i = 0; i < Layers; i++)
        {
            float* sums = At(_sums, i, member, first, _widths[i + 1]), values = At(_values, i + 1, member, first);
            _layers[member * Layers + i].Forward(At(_values, i, member, first), sums, rows);
            ActivationStep.Forward(_activations[i], sums, values, rows * _widths[i + 1]);
        }
    }

    /// <summary>From the gradients by some rows' outputs to those by all layers' sums.</summary>
    /// <param name="member">Whose.</param>
    /// <param name="first">The first row.</param>
    /// <param name="rows">How many.</param>
    /// <param name="toInput">Whether to the gradients by the inputs, too.</param>
    public void Back(int member, int first, int rows, bool toInput = false)
    {
        for (int i = Layers - 1; i >= 0; i--)
        {
            float* slopes = At(_slopes, i + 1, member, first);
            ActivationStep.Back(
                _activations[i], At(_sums, i, member, first, _widths[i + 1]), slopes, rows * _widths[i + 1]);
            if (i > 0 || toInput)
                _layers[member * Layers + i].Back(slopes, At(_slopes, i, member, first), rows);
        }
    }

    /// <summary>A thread's part of the weights' gradients, when all rows of all members have gone back.</summary>
    public void Gradient(int rows, WorkTeam team, int worker)
    {
        for (int i = 0; i < _layers.Length; i++)
        {
            (int member, int layer) = Math.DivRem(i, Layers);
            _layers[i].Gradient(
                At(_slopes, layer + 1, member, 0), At(_values, layer, member, 0), rows, team, worker,
                _scratch[worker].Address);
        }
    }

    /// <summary>Where that begins what <see cref="Again"/> sends on, for a row of the only member.</summary>
    public float* Onwards(int row) => At(Directions, 0, 0, row);

    /// <summary>
    /// For networks of straight pieces: from a loss's gradient by the gradient by some rows, which stands where
    /// <see cref="Onwards"/> says, through all layers, each unit on the piece on which it was.
    /// </summary>
    public void Again(int first, int rows)
    {
        for (int i = 0; i + 1 < Layers; i++)
        {
            float* next = At(Directions, i + 1, 0, first);
            _layers[i].Turn(At(Directions, i, 0, first), next, rows);
            ActivationStep.Back(_activations[i], At(_sums, i, 0, first, _widths[i + 1]), next, rows * _widths[i + 1]);
        }
    }

    /// <summary>A thread's part of the weights' gradients by what <see cref="Again"/> sent through some rows.</summary>
    public void GradientAgain(int first, int rows, WorkTeam team, int worker)
    {
        for (int i = 0; i < Layers; i++)
        {
            _layers[i].Gradient(
                At(_slopes, i + 1, 0, first), At(Directions, i, 0, first), rows, team, worker,
                _scratch[worker].Address, withBias: false);
        }
    }

    // Made when they are first asked for: few networks need them.
    private AlignedBuffer<float>[] Directions => _directions.Value;

    private float* At(AlignedBuffer<float>[] buffers, int layer, int member, int row) =>
        At(buffers, layer, member, row, _widths[layer]);

    private float* At(AlignedBuffer<float>[] buffers, int layer, int member, int row, int width) =>
        buffers[layer].Address + ((nint)member * _rows + row) * width;
}
