using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// A GPT's loss and its gradients on the CPU, in managed code on several threads. What torch does in some hundred
/// operators, each of which goes through memory and brings all threads together, is here a few phases for each block,
/// in which a thread takes its rows through several layers while they are in its cache.
/// </summary>
internal sealed unsafe class GptStep : IDisposable
{
    private readonly GptShape _shape;
    private readonly int _rows;
    private readonly WorkTeam _team;
    private readonly GptBlockStep[] _blocks;
    private readonly GptHeadStep _head;
    private readonly GptStepSlopes _slopes;
    private readonly GptStepScratch[] _scratch;
    private readonly GptAttentionStep[] _attention;

    /// <param name="shape">The network's sizes.</param>
    /// <param name="sequences">The most sequences in a step, each as long as the context.</param>
    /// <param name="threads">How many threads compute.</param>
    public GptStep(GptShape shape, int sequences, int threads)
    {
        _shape = shape;
        _rows = sequences * shape.ContextLength;
        _blocks = [.. Enumerable.Range(0, shape.Layers).Select(_ => new GptBlockStep(shape, _rows, threads))];
        _head = new(shape, _rows, threads);
        _slopes = new(shape, _rows);
        _scratch = [.. Enumerable.Range(0, threads).Select(_ => new GptStepScratch(shape))];
        _attention = [.. Enumerable.Range(0, threads).Select(
            _ => new GptAttentionStep(shape.ContextLength, shape.HeadWidth, 3 * shape.Width))];
        _team = new WorkTeam(threads);
    }

    /// <summary>The most sequences in a step.</summary>
    public int Sequences => _rows / _shape.ContextLength;

    /// <summary>How many threads compute.</summary>
    public int Threads => _team.Size;

    /// <summary>Whether there is memory for such steps: none of what is kept may be longer than an array.</summary>
    public static bool Fits(GptShape shape, int sequences) =>
        (long)sequences * shape.ContextLength * shape.HiddenWidth < Array.MaxLength / 2
        && (long)shape.ContextLength * Math.Max(48, shape.HeadWidth) * 2 < Array.MaxLength
        && 2L * Math.Max(shape.VocabularySize + 64, 4 * shape.Width) * shape.Width < Array.MaxLength;

    /// <summary>The mean loss, in nats; adds its gradients to the tensors'.</summary>
    /// <param name="tensors">The network's, by the names of <see cref="GptShape.Tensors"/>, on the CPU.</param>
    /// <param name="tokens">(sequences × (T + 1)), each below the vocabulary's size.</param>
    /// <param name="share">What the gradients are multiplied by.</param>
    public double Run(IReadOnlyDictionary<string, torch.Tensor> tensors, ReadOnlySpan<long> tokens, double share)
    {
        int length = _shape.ContextLength, sequences = tokens.Length / (length + 1), rows = sequences * length;
        TrainedArray? Find(string name) => tensors.TryGetValue(name, out torch.Tensor? t) ? TrainedArray.Of(t) : null;
        TrainedArray embedding = Find("wte.weight")!.Value, positions = Find("wpe.weight")!.Value;
        for (int i = 0; i < _blocks.Length; i++)
        {
            string prefix = $"h.{i}.";
            _blocks[i].Take(name => Find(prefix + name));
        }
        _head.Take(embedding, Find("ln_f.weight")!.Value, Find("ln_f.bias"));
        fixed (long* first = tokens)
        {
            long* from = first; // what is fixed cannot be captured
            _team.Run(worker => Work(embedding, positions, from, sequences, (float)(share / rows), worker));
        }
        foreach (GptBlockStep block in _blocks)
            block.Finish();
        _head.Finish();
        return _head.Loss / rows;
    }

    public void Dispose() => _team.Dispose();

    private void Work(TrainedArray embedding, TrainedArray positions, long* tokens, int sequences, float scale, int worker)
    {
        int length = _shape.ContextLength, rows = sequences * length;
        (int first, int end) = _team.Share(rows, worker, 12);
        (int firstHead, int endHead) = _team.Share(sequences * _shape.Heads, worker);
        GptStepScratch scratch = _scratch[worker];
        GptAttentionStep attention = _attention[worker];

        foreach (GptBlockStep block in _blocks)
            block.Pack(_team, worker);
        _head.Pack(_team, worker);
        Embed(embedding, positions, tokens, first, end);
        _team.Wait();
        for (int i = 0; i < _blocks.Length; i++)
        {
            AlignedBuffer<float> output = i + 1 < _blocks.Length ? _blocks[i + 1].Input : _head.Input;
            _blocks[i].Ask(first, end);
            _team.Wait();
            _blocks[i].Attend(firstHead, endHead, length, attention);
            _team.Wait();
            _blocks[i].Add(first, end, output.Address, scratch);
        }
        _team.Wait(); // the head parts the rows in another way
        _head.Run(tokens, length, rows, scale, _slopes.Output.Address, _team, worker, scratch);
        for (int i = _blocks.Length - 1; i >= 0; i--)
        {
            _blocks[i].BackToAttention(first, end, _slopes, scratch, worker);
            _team.Wait();
            _blocks[i].BackThroughAttention(
                firstHead, endHead, length, rows, attention, _slopes, scratch, _team, worker);
            _team.Wait();
            _blocks[i].BackToInput(first, end, rows, _slopes, scratch, _team, worker);
        }
        _team.Wait();
        EmbedBack(embedding, positions, tokens, rows, worker);
    }

    private void Embed(TrainedArray embedding, TrainedArray positions, long* tokens, int first, int end)
    {
        int width = _shape.Width, length = _shape.ContextLength;
        for (int row = first; row < end; row++)
        {
            (int sequence, int position) = Math.DivRem(row, length);
            long token = tokens[sequence * (length + 1L) + position];
            Span<float> state = _blocks[0].Input.Span.Slice(row * width, width);
            new ReadOnlySpan<float>(embedding.Value + token * width, width).CopyTo(state);
            VectorSum.AddTo(state, new ReadOnlySpan<float>(positions.Value + (nint)position * width, width));
        }
    }

    // Rows of one token may be many threads': each thread adds for its own slots of all of them.
    private void EmbedBack(TrainedArray embedding, TrainedArray positions, long* tokens, int rows, int worker)
    {
        int width = _shape.Width, length = _shape.ContextLength;
        (int first, int end) = _team.Share(width, worker, 16);
        for (int row = 0; row < rows && end > first; row++)
        {
            (int sequence, int position) = Math.DivRem(row, length);
            long token = tokens[sequence * (length + 1L) + position];
            ReadOnlySpan<float> slope = _slopes.Output.Span[(row * width + first)..(row * width + end)];
            VectorSum.AddTo(new Span<float>(embedding.Gradient + token * width + first, end - first), slope);
            VectorSum.AddTo(new Span<float>(positions.Gradient + (nint)position * width + first, end - first), slope);
        }
    }
}
