namespace GenerativeML;

/// <summary>
/// Computes what an autoencoder says of rows, in managed memory. It allocates nothing per row, and a row gets the same
/// bits alone, among others, and on any number of threads.
/// </summary>
internal sealed class AutoencoderScorer
{
    private readonly AutoencoderShape _shape;
    private readonly RowScale _scale;
    private readonly Lazy<DenseStack[]> _reconstruction;
    private readonly Lazy<DenseStack> _code;
    private readonly Lazy<StoredRows> _stored;
    private readonly float[] _partWeight;
    private readonly float[] _share; // (stride), one over the number of slots that count, or zero

    public AutoencoderScorer(AutoencoderShape shape, HostWeights weights)
    {
        _shape = shape;
        _scale = new RowScale(weights["input_mean"], weights["input_scale"]);
        _partWeight = weights["part_weight"];
        _share = Share(weights["input_scale"]);
        // Laid out when they are first needed: one that encodes does not score.
        var layers = new AutoencoderLayers(shape, weights);
        _reconstruction = new(() => [.. Enumerable.Range(0, shape.Members).Select(layers.Reconstruction)]);
        _code = new(() => layers.Code(0));
        _stored = new(() => new StoredRows(
            weights["memory"], shape.InputWidth, StoredRows.Near(shape.MemoryRows), StoredRows.Far(shape.MemoryRows)));
    }

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="rows">(count × D), finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <param name="threads">The most threads to use; they do not change the results.</param>
    public void Compute(ReadOnlyMemory<float> rows, int count, AutoencoderOutputs wanted, int threads) =>
        RowTiles.Run(new Work(this, rows, wanted), count, threads);

    /// <summary>The score of a row of these parts.</summary>
    public static float Score(ReadOnlySpan<float> weight, ReadOnlySpan<float> parts) =>
        weight[0] * parts[0] + weight[1] * parts[1] + weight[2] * parts[2];

    private float[] Share(float[] scale)
    {
        // A constant slot is zero in every row, and whatever the network makes of it is no evidence.
        var share = new float[_scale.Stride];
        int counting = scale.Count(s => s > 0);
        for (int i = 0; i < scale.Length; i++)
            share[i] = scale[i] > 0 ? 1f / counting : 0;
        return share;
    }

    /// <summary>One call: what it reads and where it writes.</summary>
    private readonly struct Work : IRowWork
    {
        private readonly AutoencoderScorer _scorer;
        private readonly ReadOnlyMemory<float> _rows;
        private readonly AutoencoderOutputs _wanted;
        private readonly bool _scores;
        private readonly DenseStack[] _networks;
        private readonly DenseStack? _code;
        private readonly StoredRows? _stored;

        public Work(AutoencoderScorer scorer, ReadOnlyMemory<float> rows, AutoencoderOutputs wanted)
        {
            (_scorer, _rows, _wanted) = (scorer, rows, wanted);
            _scores = !wanted.Score.IsEmpty || !wanted.FeatureScore.IsEmpty || !wanted.Parts.IsEmpty;
            _networks = _scores || !wanted.Reconstruction.IsEmpty ? scorer._reconstruction.Value : [];
            _code = wanted.Latent.IsEmpty ? null : scorer._code.Value;
            _stored = _scores && scorer._shape.MemoryRows > 0 ? scorer._stored.Value : null;
            Width = _code?.Width ?? 0;
            MultiplyAdds = (_code?.MultiplyAdds ?? 0) + (_stored?.MultiplyAdds ?? 0);
            foreach (DenseStack network in _networks)
            {
                Width = Math.Max(Width, network.Width);
                MultiplyAdds += network.MultiplyAdds;
            }
        }

        public int Width { get; }

        public long MultiplyAdds { get; }

        public void Compute(int first, int rows)
        {
            RowScale scale = _scorer._scale;
            int width = scale.Width, stride = scale.Stride, values = rows * stride;
            int storedLength = _stored?.ScratchLength(rows) ?? 0;
            using var scratch = new Scratch(5 * values + 2 * rows * Width + storedLength);
            Span<float> z = scratch.Take(values);
            for (int r = 0; r < rows; r++)
                scale.Apply(_rows.Span.Slice((first + r) * width, width), z.Slice(r * stride, stride));

            Span<float> a = scratch.Take(rows * Width), b = scratch.Take(rows * Width);
            if (_code is not null)
                Copy(_code.Apply(z, stride, rows, a, b), _code.Stride, _wanted.Latent.Span, first, rows);
            if (_networks.Length == 0)
                return;
            if (_networks.Length == 1 && _stored is null
                && _wanted.Reconstruction.IsEmpty && _wanted.FeatureScore.IsEmpty)
            {
                // Nobody asks for single slots: their errors need not be kept.
                ReadOnlySpan<float> output = _networks[0].Apply(z, stride, rows, a, b);
                for (int r = 0; r < rows; r++)
                {
                    ReadOnlySpan<float> one = output.Slice(r * _networks[0].Stride, stride);
                    float sum = SquaredDifference.WeightedSum(_scorer._share, z.Slice(r * stride, stride), one);
                    Score(first + r, [sum, 0, 0]);
                }
                return;
            }
            Span<float> error = scratch.Take(values), mean = scratch.Take(values), far = scratch.Take(values);
            Reconstruct(z, rows, a, b, error, mean);
            for (int r = 0; r < rows && !_wanted.Reconstruction.IsEmpty; r++)
                scale.Undo(mean.Slice(r * stride, width), _wanted.Reconstruction.Span.Slice((first + r) * width, width));
            if (!_scores)
                return;
            Span<float> near = mean;
            _stored?.Compare(z, stride, rows, near, far, scratch.Take(storedLength));
            for (int r = 0; r < rows; r++)
            {
                Range row = (r * stride)..((r + 1) * stride);
                Score(first + r, error[row], _stored is null ? [] : near[row], _stored is null ? [] : far[row]);
            }
        }

        /// <summary>The mean over the networks of what they make of rows, and of its squared errors.</summary>
        private void Reconstruct(
            ReadOnlySpan<float> z, int rows, Span<float> a, Span<float> b, Span<float> error, Span<float> mean)
        {
            int stride = _scorer._scale.Stride;
            bool asked = !_wanted.Reconstruction.IsEmpty;
            error.Clear();
            if (asked)
                mean.Clear();
            foreach (DenseStack network in _networks)
            {
                Span<float> output = network.Apply(z, stride, rows, a, b);
                for (int r = 0; r < rows; r++)
                {
                    ReadOnlySpan<float> one = output.Slice(r * network.Stride, stride);
                    SquaredDifference.AddTo(error.Slice(r * stride, stride), z.Slice(r * stride, stride), one);
                    if (asked)
                        VectorSum.AddTo(mean.Slice(r * stride, stride), one);
                }
            }
            if (_networks.Length == 1)
                return;
            VectorSum.Scale(error, 1f / _networks.Length);
            if (asked)
                VectorSum.Scale(mean, 1f / _networks.Length);
        }

        private void Score(int row, ReadOnlySpan<float> error, ReadOnlySpan<float> near, ReadOnlySpan<float> far)
        {
            float[] share = _scorer._share, weight = _scorer._partWeight;
            bool stored = !near.IsEmpty; // without stored rows only the error counts
            Score(
                row,
                [
                    VectorSum.Dot(share, error), stored ? VectorSum.Dot(share, near) : 0,
                    stored ? VectorSum.Dot(share, far) : 0,
                ]);
            if (_wanted.FeatureScore.IsEmpty)
                return;
            int width = _scorer._scale.Width;
            Span<float> slots = _wanted.FeatureScore.Span.Slice(row * width, width);
            for (int i = 0; i < slots.Length; i++)
            {
                float distances = stored ? weight[1] * near[i] + weight[2] * far[i] : 0;
                slots[i] = share[i] * (weight[0] * error[i] + distances);
            }
        }

        private void Score(int row, ReadOnlySpan<float> parts)
        {
            if (!_wanted.Score.IsEmpty)
                _wanted.Score.Span[row] = AutoencoderScorer.Score(_scorer._partWeight, parts);
            if (!_wanted.Parts.IsEmpty)
                parts.CopyTo(_wanted.Parts.Span[(row * AutoencoderShape.Parts)..]);
        }

        private void Copy(ReadOnlySpan<float> from, int stride, Span<float> to, int first, int rows)
        {
            int width = _scorer._shape.LatentDimension;
            for (int r = 0; r < rows; r++)
                from.Slice(r * stride, width).CopyTo(to[((first + r) * width)..]);
        }
    }
}
