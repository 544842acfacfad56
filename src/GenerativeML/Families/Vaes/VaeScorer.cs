namespace GenerativeML;

/// <summary>
/// Computes what a VAE says of rows, and rows, in managed memory. It allocates nothing per row, and a row gets the same
/// bits alone, among others, and on any number of threads.
/// </summary>
internal sealed class VaeScorer(VaeShape shape, HostWeights weights)
{
    private readonly VaeParts _parts = new(shape, weights);

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="block">Its fields are those of training; all values are finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <param name="threads">The most threads to use; they do not change the results.</param>
    public void Compute(RowBlock block, int count, VaeOutputs wanted, int threads) =>
        RowTiles.Run(new Work(_parts, block, wanted), count, threads);

    /// <summary>Makes rows: codes from the prior, rows from what the decoder gives for code and condition.</summary>
    /// <param name="rows">(count × D): overwritten.</param>
    /// <param name="conditions">(count × C), in the units of the data.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="seed">Of what is drawn.</param>
    /// <param name="threads">The most threads to use; they do not change the results.</param>
    public void Generate(Memory<float> rows, ReadOnlyMemory<float> conditions, int count, ulong seed, int threads)
    {
        var random = new SplitMix64(seed);
        var seeds = new ulong[count];
        foreach (ref ulong s in seeds.AsSpan())
            s = random.Next();
        RowTiles.Run(new Generation(_parts, rows, conditions, seeds), count, threads);
    }

    /// <summary>One call: what it reads and where it writes.</summary>
    private readonly struct Work : IRowWork
    {
        private readonly VaeParts _parts;
        private readonly RowBlock _block;
        private readonly VaeOutputs _wanted;
        private readonly bool _decodes, _draws, _novelty;

        public Work(VaeParts parts, RowBlock block, VaeOutputs wanted)
        {
            (_parts, _block, _wanted) = (parts, block, wanted);
            VaeShape shape = parts.Shape;
            bool scores = !wanted.Score.IsEmpty;
            _draws = scores && shape.Score == VaeScore.NegativeLogLikelihood;
            _novelty = shape.Score == VaeScore.Novelty && (scores || !wanted.FeatureScore.IsEmpty);
            _decodes = scores && !_draws || !wanted.FeatureScore.IsEmpty || !wanted.Reconstruction.IsEmpty;
            int encodings = _novelty ? 2 : 1, decodings = (_decodes ? 1 : 0) + (_draws ? shape.ScoreSamples : 0);
            Width = Math.Max(
                parts.Decoder.Width, Math.Max(parts.Encoder?.Width ?? 1, parts.InputStride));
            MultiplyAdds = encodings * (parts.Encoder?.MultiplyAdds ?? 0) + parts.Code.MultiplyAdds
                + decodings * parts.Decoder.MultiplyAdds + (_novelty ? parts.Stored!.MultiplyAdds : 0);
        }

        public int Width { get; }

        public long MultiplyAdds { get; }

        public void Compute(int first, int rows)
        {
            using var scratch = new Scratch(VaePass.ScratchLength(_parts, rows, _novelty));
            var pass = new VaePass(_parts, scratch, rows);
            pass.Read(_block, first);
            pass.Encode();
            int latent = _parts.Shape.LatentDimension, width = _parts.Shape.InputWidth;
            for (int r = 0; r < rows; r++)
            {
                if (!_wanted.Latent.IsEmpty)
                    pass.Mean(r).CopyTo(Slots(_wanted.Latent, first + r, latent));
                if (!_wanted.Deviation.IsEmpty)
                    pass.Deviation(r, Slots(_wanted.Deviation, first + r, latent));
            }
            Span<float> score = _wanted.Score.IsEmpty ? [] : _wanted.Score.Span.Slice(first, rows);
            if (_draws)
                pass.NegativeLogLikelihood(score);
            if (!_decodes)
                return;
            pass.DecodeMeans();
            for (int r = 0; r < rows && !_wanted.Reconstruction.IsEmpty; r++)
                _parts.Slots.Expected(pass.Decoded(r), Slots(_wanted.Reconstruction, first + r, width));
            Span<float> slots = _wanted.FeatureScore.IsEmpty
                ? []
                : _wanted.FeatureScore.Span.Slice(first * width, rows * width);
            if (_novelty)
                pass.Novelty(score, slots);
            else
                pass.Reconstruction(_draws ? [] : score, slots);
        }

        private static Span<float> Slots(Memory<float> values, int row, int width) =>
            values.Span.Slice(row * width, width);
    }

    /// <summary>Rows to be made.</summary>
    private readonly struct Generation(
        VaeParts parts, Memory<float> rows, ReadOnlyMemory<float> conditions, ulong[] seeds) : IRowWork
    {
        public int Width => parts.Decoder.Width;

        public long MultiplyAdds => parts.Decoder.MultiplyAdds;

        public void Compute(int first, int count)
        {
            int latent = parts.Shape.LatentDimension, given = parts.Shape.ConditionWidth;
            int stride = parts.CodeStride + (parts.ConditionScale?.Stride ?? 0), width = parts.Shape.InputWidth;
            using var scratch = new Scratch(count * (stride + 2 * parts.Decoder.Width));
            Span<float> input = scratch.Take(count * stride);
            var random = new SplitMix64[count];
            for (int r = 0; r < count; r++)
            {
                random[r] = new SplitMix64(seeds[first + r]);
                NormalNumbers.Fill(ref random[r], input.Slice(r * stride, latent));
                parts.ConditionScale?.Apply(
                    conditions.Span.Slice((first + r) * given, given),
                    input.Slice(r * stride + latent, parts.ConditionScale.Stride));
            }
            Span<float> decoded = parts.Decoder.Apply(
                input, stride, count, scratch.Take(count * parts.Decoder.Width),
                scratch.Take(count * parts.Decoder.Width));
            for (int r = 0; r < count; r++)
            {
                parts.Slots.Sample(
                    decoded.Slice(r * parts.Decoder.Stride, parts.Decoder.Stride), ref random[r],
                    rows.Span.Slice((first + r) * width, width));
            }
        }
    }
}
