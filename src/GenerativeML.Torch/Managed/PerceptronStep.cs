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
    private readonly AlignedBuffer<float>[] _inputs, _sums, _slopes; // of each layer, (Members, rows, width)
    private readonly AlignedBuffer<float>[] _scratch; // of each thread

    /// <param name="members">Networks side by side.</param>
    /// <param name="widths">Slots of the input, of each layer, and of the output.</param>
    /// <param name="activations">What follows each layer; nothing ever follows the last.</param>
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
        _inputs = [.. widths.SkipLast(1).Select(Rows)];
        _sums = [.. widths.Skip(1).Select(Rows)];
        _slopes = [.. widths.Skip(1).Select(Rows)];
        int length = DenseStep.ScratchLength(widths.SkipLast(1).Max());
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
    public float* Input(int member, int row) => At(_inputs[0], member, row, _widths[0]);

    /// <summary>Where a row of a member's output is.</summary>
    public float* Output(int member, int row) => At(_sums[^1], member, row, _widths[^1]);

    /// <summary>Where the gradient by a row of a member's output is.</summary>
    public float* OutputSlope(int member, int row) => At(_slopes[^1], member, row, _widths[^1]);

    /// <summary>From some rows' inputs to their outputs.</summary>
    public void Forward(int member, int first, int rows)
    {
        for (int i = 0; i < Layers; i++)
        {
            float* sums = At(_sums[i], member, first, _widths[i + 1]);
            _layers[member * Layers + i].Forward(At(_inputs[i], member, first, _widths[i]), sums, rows);
            if (i + 1 < Layers)
            {
                float* next = At(_inputs[i + 1], member, first, _widths[i + 1]);
                ActivationStep.Forward(_activations[i], sums, next, rows * _widths[i + 1]);
            }
        }
    }

    /// <summary>From the gradients by some rows' outputs to those by all that is between layers.</summary>
    public void Back(int member, int first, int rows)
    {
        for (int i = Layers - 1; i > 0; i--)
        {
            float* before = At(_slopes[i - 1], member, first, _widths[i]);
            _layers[member * Layers + i].Back(At(_slopes[i], member, first, _widths[i + 1]), before, rows);
            ActivationStep.Back(
                _activations[i - 1], At(_sums[i - 1], member, first, _widths[i]), before, rows * _widths[i]);
        }
    }

    /// <summary>A thread's part of the weights' gradients, when all rows of all members have gone back.</summary>
    public void Gradient(int rows, WorkTeam team, int worker)
    {
        for (int i = 0; i < _layers.Length; i++)
        {
            (int member, int layer) = Math.DivRem(i, Layers);
            _layers[i].Gradient(
                At(_slopes[layer], member, 0, _widths[layer + 1]), At(_inputs[layer], member, 0, _widths[layer]), rows,
                team, worker, _scratch[worker].Address);
        }
    }

    private float* At(AlignedBuffer<float> buffer, int member, int row, int width) =>
        buffer.Address + ((nint)member * _rows + row) * width;
}
