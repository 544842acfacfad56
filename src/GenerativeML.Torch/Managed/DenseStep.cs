namespace GenerativeML.Torch;

/// <summary>
/// A linear layer, y = x·Wᵀ + b, in a training step that a <see cref="WorkTeam"/> computes: forward and back for the
/// rows of each thread, the weights' gradient for all rows with each thread making a part of it.
/// </summary>
internal sealed unsafe class DenseStep
{
    private readonly int _outputs, _inputs;
    private readonly AlignedBuffer<float> _forward, _back;
    private TrainedArray _weight;
    private TrainedArray? _bias;

    public DenseStep(int outputs, int inputs)
    {
        _outputs = outputs;
        _inputs = inputs;
        _forward = new(checked((int)PackedFactor.Length(inputs, outputs)));
        _back = new(checked((int)PackedFactor.Length(outputs, inputs)));
    }

    /// <summary>Takes the layer's tensors, before all else.</summary>
    public void Take(TrainedArray weight, TrainedArray? bias) => (_weight, _bias) = (weight, bias);

    /// <summary>A thread's part of laying the weights out for this step's products.</summary>
    public void Pack(WorkTeam team, int worker)
    {
        (int first, int end) = team.Share(PackedFactor.Panels(_outputs), worker);
        PackedFactor.PackTransposed(_weight.Value, _inputs, _inputs, _outputs, _forward.Address, first, end);
        (first, end) = team.Share(PackedFactor.Panels(_inputs), worker);
        PackedFactor.Pack(_weight.Value, _inputs, _outputs, _inputs, _back.Address, first, end);
    }

    /// <summary>Lays all weights out for this step's products.</summary>
    public void Pack()
    {
        PackedFactor.PackTransposed(_weight.Value, _inputs, _inputs, _outputs, _forward.Address);
        PackedFactor.Pack(_weight.Value, _inputs, _outputs, _inputs, _back.Address);
    }

    /// <summary>y = x·Wᵀ + b, or y += x·Wᵀ + b.</summary>
    /// <param name="x">(rows × inputs).</param>
    /// <param name="y">(rows × outputs).</param>
    /// <param name="rows">How many.</param>
    /// <param name="add">Whether y is added to.</param>
    public void Forward(float* x, float* y, int rows, bool add = false)
    {
        if (_bias is TrainedArray bias)
        {
            for (int row = 0; row < rows; row++)
            {
                var to = new Span<float>(y + (nint)row * _outputs, _outputs);
                if (add)
                    VectorSum.AddTo(to, bias.Values);
                else
                    bias.Values.CopyTo(to);
            }
            add = true;
        }
        MatrixProduct.Multiply(
            x, _inputs, 1, _forward.Address, PackedFactor.Panel(_inputs), y, _outputs, rows, _outputs, _inputs, add);
    }

    /// <summary>y = x·Wᵀ, without the bias.</summary>
    public void Turn(float* x, float* y, int rows) => MatrixProduct.Multiply(
        x, _inputs, 1, _forward.Address, PackedFactor.Panel(_inputs), y, _outputs, rows, _outputs, _inputs, add: false);

    /// <summary>From a loss's gradient by y to the one by x: dx = dy·W, or dx += dy·W.</summary>
    public void Back(float* dy, float* dx, int rows, bool add = false) => MatrixProduct.Multiply(
        dy, _outputs, 1, _back.Address, PackedFactor.Panel(_outputs), dx, _inputs, rows, _inputs, _outputs, add);

    /// <summary>A thread's part of adding the weights' and the bias's gradients, dyᵀ·x and the sum of dy.</summary>
    /// <param name="dy">(rows × outputs).</param>
    /// <param name="x">(rows × inputs).</param>
    /// <param name="rows">All rows of the step.</param>
    /// <param name="team">The threads.</param>
    /// <param name="worker">This one.</param>
    /// <param name="scratch">This thread's; holds <see cref="ScratchLength"/> numbers.</param>
    /// <param name="withBias">Whether the bias had a part in y.</param>
    public void Gradient(
        float* dy, float* x, int rows, WorkTeam team, int worker, float* scratch, bool withBias = true)
    {
        // Each thread packs what it needs of x, and gathers what it needs of dy.
        int panels = PackedFactor.Panels(_inputs), across = PartsAcross(team.Size), down = team.Size / across;
        (int part, int column) = (worker / across, worker % across);
        if (part >= down)
            return;
        int first = (int)((long)panels * column / across), end = (int)((long)panels * (column + 1) / across);
        int top = (int)((long)_outputs * part / down), bottom = (int)((long)_outputs * (part + 1) / down);
        int left = first * MatrixProduct.PanelWidth, right = Math.Min(_inputs, end * MatrixProduct.PanelWidth);
        for (int row = 0; row < rows; row += RowBlock)
        {
            int count = Math.Min(RowBlock, rows - row);
            PackedFactor.Pack(x + (nint)row * _inputs + left, _inputs, count, right - left, scratch);
            MatrixProduct.Multiply(
                dy + (nint)row * _outputs + top, 1, _outputs, scratch, PackedFactor.Panel(count),
                _weight.Gradient + (nint)top * _inputs + left, _inputs, bottom - top, right - left, count, add: true);
        }
        if (column > 0 || !withBias || _bias is not TrainedArray bias)
            return;
        Span<float> sums = bias.Gradients[top..bottom];
        for (int row = 0; row < rows; row++)
            VectorSum.AddTo(sums, new ReadOnlySpan<float>(dy + (nint)row * _outputs + top, bottom - top));
    }

    // Into how many columns of parts the gradient is cut: so that no thread is left over, and then so that least has to
    // be laid out anew. A number of dy takes about twice as long for that as one of x.
    private int PartsAcross(int threads)
    {
        int best = 1;
        (double Products, double Numbers) least = (double.MaxValue, double.MaxValue);
        for (int across = 1; across <= Math.Min(threads, PackedFactor.Panels(_inputs)); across++)
        {
            int down = threads / across;
            (double, double) cost = (1.0 / (across * down), 2.0 * _outputs / down + (double)_inputs / across);
            if (cost.CompareTo(least) < 0)
                (best, least) = (across, cost);
        }
        return best;
    }

    /// <summary>Numbers that <see cref="Gradient"/> needs beside.</summary>
    public static int ScratchLength(int inputs) => checked((int)PackedFactor.Length(RowBlock, inputs));

    private const int RowBlock = 512;
}
