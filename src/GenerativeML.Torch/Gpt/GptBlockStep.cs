namespace GenerativeML.Torch;

/// <summary>
/// A block in a training step: what it keeps of the forward pass, and its phases, between which all threads wait for
/// one another. Rows are tokens, one sequence after the other.
/// </summary>
internal sealed unsafe class GptBlockStep
{
    private readonly GptShape _shape;
    private readonly int _chunk;
    private readonly NormStep _norm1, _norm2;
    private readonly DenseStep _qkv, _project, _expand, _contract;
    private readonly AlignedBuffer<float> _normal1, _attention, _mixed, _middle, _normal2, _hidden;

    public GptBlockStep(GptShape shape, int rows, int threads)
    {
        _shape = shape;
        _chunk = Chunk(shape);
        int width = shape.Width;
        _norm1 = new(width, GptShape.NormEpsilon, rows, threads);
        _norm2 = new(width, GptShape.NormEpsilon, rows, threads);
        _qkv = new(3 * width, width);
        _project = new(width, width);
        _expand = new(shape.HiddenWidth, width);
        _contract = new(width, shape.HiddenWidth);
        Input = new(rows * width);
        _normal1 = new(rows * width);
        _attention = new(3 * rows * width);
        _mixed = new(rows * width);
        _middle = new(rows * width);
        _normal2 = new(rows * width);
        _hidden = new(rows * shape.HiddenWidth);
    }

    /// <summary>The hidden states that it is given, (N, C).</summary>
    public AlignedBuffer<float> Input { get; }

    /// <summary>
    /// So many rows go through one layer after the other: while they are in the cache, or, where the weights are not,
    /// as many as make it worth to fetch those.
    /// </summary>
    public static int Chunk(GptShape shape) => shape.Width <= 192 ? 96 : 192;

    /// <summary>Takes the block's tensors, by their names in it.</summary>
    public void Take(Func<string, TrainedArray?> tensors)
    {
        _norm1.Take(tensors("ln_1.weight")!.Value, tensors("ln_1.bias"));
        _norm2.Take(tensors("ln_2.weight")!.Value, tensors("ln_2.bias"));
        _qkv.Take(tensors("attn.c_attn.weight")!.Value, tensors("attn.c_attn.bias"));
        _project.Take(tensors("attn.c_proj.weight")!.Value, tensors("attn.c_proj.bias"));
        _expand.Take(tensors("mlp.c_fc.weight")!.Value, tensors("mlp.c_fc.bias"));
        _contract.Take(tensors("mlp.c_proj.weight")!.Value, tensors("mlp.c_proj.bias"));
    }

    /// <summary>A thread's part of laying out the weights.</summary>
    public void Pack(WorkTeam team, int worker)
    {
        _qkv.Pack(team, worker);
        _project.Pack(team, worker);
        _expand.Pack(team, worker);
        _contract.Pack(team, worker);
    }

    /// <summary>Forward, first phase: rows → queries, keys and values.</summary>
    public void Ask(int first, int end)
    {
        int width = _shape.Width;
        for (int row = first; row < end; row += _chunk)
        {
            int rows = Math.Min(_chunk, end - row);
            float* normal = _normal1.Address + (nint)row * width;
            _norm1.Forward(Input.Address + (nint)row * width, normal, row, rows);
            _qkv.Forward(normal, _attention.Address + (nint)row * 3 * width, rows);
        }
    }

    /// <summary>Forward, second phase: heads, counted through all sequences.</summary>
    public void Attend(int first, int end, int length, GptAttentionStep attention)
    {
        for (int head = first; head < end; head++)
        {
            (nint from, nint to) = Place(head, length);
            float* queries = _attention.Address + from;
            attention.Forward(
                queries, queries + _shape.Width, queries + 2 * _shape.Width, _mixed.Address + to, _shape.Width);
        }
    }

    /// <summary>Forward, third phase: rows → hidden states, which the next block is given.</summary>
    public void Add(int first, int end, float* output, GptStepScratch scratch)
    {
        int width = _shape.Width, hiddenWidth = _shape.HiddenWidth;
        for (int row = first; row < end; row += _chunk)
        {
            int rows = Math.Min(_chunk, end - row);
            nint at = (nint)row * width;
            float* middle = _middle.Address + at, hidden = _hidden.Address + (nint)row * hiddenWidth;
            Copy(Input.Address + at, middle, rows * width);
            _project.Forward(_mixed.Address + at, middle, rows, add: true);
            _norm2.Forward(middle, _normal2.Address + at, row, rows);
            _expand.Forward(_normal2.Address + at, hidden, rows);

            float* activated = scratch.Wide;
            int count = rows * hiddenWidth;
            GaussianErrorUnit.Apply(
                _shape.Gelu, new ReadOnlySpan<float>(hidden, count), new Span<float>(activated, count));
            Copy(middle, output + at, rows * width);
            _contract.Forward(activated, output + at, rows, add: true);
        }
    }

    /// <summary>Back, first phase: rows, from the gradient by the output to the one by what attention gave.</summary>
    public void BackToAttention(int first, int end, GptStepSlopes slopes, GptStepScratch scratch, int worker)
    {
        int width = _shape.Width, hiddenWidth = _shape.HiddenWidth;
        for (int row = first; row < end; row += _chunk)
        {
            int rows = Math.Min(_chunk, end - row), count = rows * hiddenWidth;
            nint at = (nint)row * width, wide = (nint)row * hiddenWidth;
            float* hidden = slopes.Hidden.Address + wide, middle = slopes.Middle.Address + at;
            _contract.Back(slopes.Output.Address + at, hidden, rows);
            GaussianErrorUnit.Back(
                _shape.Gelu, new ReadOnlySpan<float>(_hidden.Address + wide, count),
                new Span<float>(slopes.Activated.Address + wide, count), new Span<float>(hidden, count));
            _expand.Back(hidden, scratch.Narrow, rows);
            Copy(slopes.Output.Address + at, middle, rows * width);
            _norm2.Back(_middle.Address + at, scratch.Narrow, middle, row, rows, worker);
            _project.Back(middle, slopes.Mixed.Address + at, rows);
        }
    }

    /// <summary>Back, second phase: heads, and the gradients of the weights whose two factors are there.</summary>
    public void BackThroughAttention(
        int first, int end, int length, int rows, GptAttentionStep attention, GptStepSlopes slopes,
        GptStepScratch scratch, WorkTeam team, int worker)
    {
        int width = _shape.Width;
        for (int head = first; head < end; head++)
        {
            (nint from, nint to) = Place(head, length);
            float* queries = _attention.Address + from, slope = slopes.Attention.Address + from;
            attention.Back(
                queries, queries + width, queries + 2 * width, slopes.Mixed.Address + to, width, slope, slope + width,
                slope + 2 * width);
        }
        _contract.Gradient(slopes.Output.Address, slopes.Activated.Address, rows, team, worker, scratch.Factor);
        _expand.Gradient(slopes.Hidden.Address, _normal2.Address, rows, team, worker, scratch.Factor);
        _project.Gradient(slopes.Middle.Address, _mixed.Address, rows, team, worker, scratch.Factor);
    }

    /// <summary>Back, third phase: rows, to the gradient by the input, in the place of the one by the output.</summary>
    public void BackToInput(
        int first, int end, int rows, GptStepSlopes slopes, GptStepScratch scratch, WorkTeam team, int worker)
    {
        int width = _shape.Width;
        for (int row = first; row < end; row += _chunk)
        {
            int some = Math.Min(_chunk, end - row);
            nint at = (nint)row * width;
            _qkv.Back(slopes.Attention.Address + 3 * at, scratch.Narrow, some);
            Copy(slopes.Middle.Address + at, slopes.Output.Address + at, some * width);
            _norm1.Back(Input.Address + at, scratch.Narrow, slopes.Output.Address + at, row, some, worker);
        }
        _qkv.Gradient(slopes.Attention.Address, _normal1.Address, rows, team, worker, scratch.Factor);
    }

    /// <summary>Adds up what the threads found for gains and biases of the normalisation.</summary>
    public void Finish()
    {
        _norm1.Finish();
        _norm2.Finish();
    }

    /// <summary>Where a head's part of the first token lies, in (N, 3·C) and in (N, C).</summary>
    private (nint QueryKeyValue, nint Mixed) Place(int head, int length)
    {
        (int sequence, int part) = Math.DivRem(head, _shape.Heads);
        nint row = (nint)sequence * length, slot = part * _shape.HeadWidth;
        return (3 * row * _shape.Width + slot, row * _shape.Width + slot);
    }

    private static void Copy(float* from, float* to, int count) =>
        new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));
}
