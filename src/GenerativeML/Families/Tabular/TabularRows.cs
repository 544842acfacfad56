using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Draws rows of tokens by a <see cref="TabularDecoder"/>, in managed memory: a seed gives the same rows on any device
/// and any number of threads. Safe to use from several threads.
/// </summary>
internal sealed class TabularRows
{
    // Rows that are drawn for each that is asked for with a condition; one of them is taken. More come closer to the
    // distribution that the model has among rows that meet the condition.
    private const int Candidates = 8;

    // Rows that share each reading of a position's weights, and whose numbers stay in the cache meanwhile.
    private const int Tile = 96;

    private readonly TabularVaeShape _shape;
    private readonly DenseStack _context; // Z → C
    private readonly Position[] _positions;
    private readonly float[] _embedding; // (tokens, C)

    /// <param name="decoder">Its weights are copied.</param>
    public TabularRows(TabularDecoder decoder)
    {
        TabularVaeShape shape = _shape = decoder.Shape;
        Dictionary<string, float[]> tensors = decoder.NamedTensors().ToDictionary(t => t.Name, t => Copy(t.Value));
        _embedding = tensors["token_embedding"];
        _context = new DenseStack(
            [(new(tensors["latent_context.weight"], tensors["latent_context.bias"]), Activation.Identity)]);
        _positions = new Position[shape.Tokens.Count];
        int c = shape.ContextWidth, z = shape.LatentDimension, h = shape.HiddenWidth;
        for (int p = 0, token = 0; p < _positions.Length; token += shape.Tokens[p++])
        {
            _positions[p] = new Position(
                token,
                new AffineLayer(
                    Transposed(h, Of("context_weight", p, c * h), Of("latent_hidden", p, z * h)),
                    Of("context_bias", p, h).ToArray()),
                new AffineLayer(
                    Transposed(h, Of("hidden_weight", p, h * h), []), Of("hidden_bias", p, h).ToArray()),
                new AffineLayer(
                    tensors["output_weight"].AsSpan(token * h, shape.Tokens[p] * h).ToArray(),
                    tensors["output_bias"].AsSpan(token, shape.Tokens[p]).ToArray()));
        }

        ReadOnlySpan<float> Of(string name, int position, int length) =>
            tensors[name].AsSpan(position * length, length);

        static float[] Copy(torch.Tensor tensor)
        {
            float[] values = new float[tensor.numel()];
            HostTensors.CopyTo(tensor, values);
            return values;
        }
    }

    /// <summary>The tokens of some rows, position by position.</summary>
    /// <param name="values">What each position's tokens stand for, and which are allowed.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="seed">What they are drawn by.</param>
    public int[][] Draw(IReadOnlyList<TokenValues> values, int rows, ulong seed)
    {
        var random = new SplitMix64(seed);
        var drawn = new int[_positions.Length][];
        for (int p = 0; p < drawn.Length; p++)
            drawn[p] = new int[rows];
        int limited = 1 + LastLimited(values), candidates = limited == 0 ? 1 : Candidates;
        var tile = new Rows(this, Tile);
        Rows? tried = limited > 0 ? new Rows(this, Tile) : null;
        for (int first = 0; first < rows;)
        {
            int count = Math.Min(Tile, rows - first);
            if (tried is not null)
            {
                // What conditions concern is drawn for several candidates each, and decided before the rest.
                for (int at = 0; at < count; at += Tile / candidates)
                {
                    int some = Math.Min(Tile / candidates, count - at);
                    tried.Start(some * candidates, ref random);
                    for (int p = 0; p < limited; p++)
                        tried.Draw(p, values[p].Allowed, ref random);
                    for (int row = 0; row < some; row++)
                    {
                        int chosen = tried.Choose(row * candidates, candidates, ref random);
                        tile.Take(tried, chosen, at + row, limited);
                    }
                }
                tile.Count = count;
            }
            else
            {
                tile.Start(count, ref random);
            }
            for (int p = limited; p < _positions.Length; p++)
                tile.Draw(p, allowed: null, ref random);
            for (int p = 0; p < drawn.Length; p++)
                tile.Tokens[p].AsSpan(0, count).CopyTo(drawn[p].AsSpan(first));
            first += count;
        }
        return drawn;
    }

    private static int LastLimited(IReadOnlyList<TokenValues> values)
    {
        int last = values.Count - 1;
        while (last >= 0 && values[last].Allowed is null)
            last--;
        return last;
    }

    /// <summary>Matrices of (inputs, outputs), one below the other, as (outputs, inputs).</summary>
    private static float[] Transposed(int outputs, ReadOnlySpan<float> first, ReadOnlySpan<float> second)
    {
        int inputs = (first.Length + second.Length) / outputs, split = first.Length / outputs;
        float[] result = new float[inputs * outputs];
        for (int i = 0; i < inputs; i++)
        {
            ReadOnlySpan<float> row = i < split
                ? first.Slice(i * outputs, outputs)
                : second.Slice((i - split) * outputs, outputs);
            for (int o = 0; o < outputs; o++)
                result[o * inputs + i] = row[o];
        }
        return result;
    }

    /// <summary>A position's layers.</summary>
    private sealed class Position(int firstToken, AffineLayer first, AffineLayer second, AffineLayer output)
    {
        /// <summary>The position's first token among all.</summary>
        public int FirstToken { get; } = firstToken;

        /// <summary>What is known and the code, (C + Z) → H.</summary>
        public DenseStack First { get; } = new([(first, Activation.Relu)]);

        /// <summary>H → H, whose result is added to what went in.</summary>
        public DenseStack Second { get; } = new([(second, Activation.Relu)]);

        /// <summary>H → tokens.</summary>
        public DenseStack Output { get; } = new([(output, Activation.Identity)]);

        /// <summary>The number of tokens.</summary>
        public int Tokens { get; } = output.Outputs;
    }

    /// <summary>Rows that are drawn together, as far as they are known.</summary>
    private sealed class Rows
    {
        private readonly TabularRows _model;
        private readonly int _stride;
        private readonly float[] _state; // (rows, C + Z): what is known, and the code
        private readonly float[] _first, _second, _output, _codes;
        private readonly double[] _logWeight; // (rows): how much of the distribution the conditions left so far

        public Rows(TabularRows model, int capacity)
        {
            _model = model;
            TabularVaeShape shape = model._shape;
            _stride = shape.ContextWidth + shape.LatentDimension;
            _state = new float[capacity * _stride];
            _codes = new float[capacity * shape.LatentDimension];
            _first = new float[capacity * Math.Max(model._context.Stride, model._positions.Max(p => p.First.Stride))];
            _second = new float[capacity * model._positions.Max(p => p.Second.Stride)];
            _output = new float[capacity * model._positions.Max(p => p.Output.Stride)];
            _logWeight = new double[capacity];
            Tokens = [.. model._positions.Select(_ => new int[capacity])];
        }

        /// <summary>The rows' tokens, position by position.</summary>
        public int[][] Tokens { get; }

        /// <summary>How many rows there are.</summary>
        public int Count { get; set; }

        /// <summary>Begins rows of which nothing but a code is known.</summary>
        public void Start(int count, ref SplitMix64 random)
        {
            TabularVaeShape shape = _model._shape;
            int c = shape.ContextWidth, z = shape.LatentDimension;
            Count = count;
            Array.Clear(_logWeight);
            Span<float> codes = _codes.AsSpan(0, count * z);
            NormalNumbers.Fill(ref random, codes);
            Span<float> context = _model._context.Apply(codes, z, count, _first, []);
            for (int row = 0; row < count; row++)
            {
                Span<float> state = _state.AsSpan(row * _stride, _stride);
                context.Slice(row * _model._context.Stride, c).CopyTo(state);
                codes.Slice(row * z, z).CopyTo(state[c..]);
            }
        }

        /// <summary>Draws the next position's tokens by what is known, and from then on they are known.</summary>
        public void Draw(int number, float[]? allowed, ref SplitMix64 random)
        {
            Position position = _model._positions[number];
            Span<float> first = position.First.Apply(_state, _stride, Count, _first, []);
            Span<float> second = position.Second.Apply(first, position.First.Stride, Count, _second, []);
            VectorSum.AddTo(second, first);
            Span<float> output = position.Output.Apply(second, position.Second.Stride, Count, _output, []);
            int c = _model._shape.ContextWidth;
            for (int row = 0; row < Count; row++)
            {
                Span<float> share = output.Slice(row * position.Output.Stride, position.Tokens);
                Softmax.Apply(share);
                double mass = 1;
                if (allowed is not null)
                {
                    mass = Limit(share, allowed);
                    _logWeight[row] += Math.Log(mass);
                }
                int token = TokenChoice.Draw(share, mass, random.NextDouble());
                Tokens[number][row] = token;
                VectorSum.AddTo(
                    _state.AsSpan(row * _stride, c),
                    _model._embedding.AsSpan((position.FirstToken + token) * c, c));
            }
        }

        /// <summary>One of some neighbouring rows, as likely as the conditions make it.</summary>
        public int Choose(int first, int count, ref SplitMix64 random)
        {
            Span<float> share = stackalloc float[count];
            for (int i = 0; i < count; i++)
                share[i] = (float)_logWeight[first + i];
            Softmax.Apply(share);
            return first + TokenChoice.Draw(share, 1, random.NextDouble());
        }

        /// <summary>Takes over what is known of another's row, and its first tokens.</summary>
        public void Take(Rows other, int from, int to, int positions)
        {
            other._state.AsSpan(from * _stride, _stride).CopyTo(_state.AsSpan(to * _stride));
            for (int p = 0; p < positions; p++)
                Tokens[p][to] = other.Tokens[p][from];
        }

        private static double Limit(Span<float> share, float[] allowed)
        {
            double mass = 0;
            for (int i = 0; i < share.Length; i++)
            {
                share[i] = (float)((share[i] + TokenChoice.LeastShare) * allowed[i]);
                mass += share[i];
            }
            return mass;
        }
    }
}
