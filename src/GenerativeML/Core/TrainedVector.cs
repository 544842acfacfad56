using System.Buffers;

namespace GenerativeML;

/// <summary>What is asked for of rows.</summary>
[Flags]
internal enum VectorOutputs
{
    None = 0,
    Score = 1,
    FeatureScore = 2,
    Reconstruction = 4,
    Latent = 8,
    LatentDeviation = 16,
    AnomalyMap = 32,
    Class = 64,
    Translation = 128,
}

/// <summary>Where results go, (rows × width); an empty one is not asked for.</summary>
internal readonly record struct VectorResults(
    Memory<float> Score, Memory<float> FeatureScore, Memory<float> Reconstruction, Memory<float> Latent,
    Memory<float> LatentDeviation, Memory<float> AnomalyMap = default, Memory<float> Class = default,
    Memory<float> Translation = default)
{
    /// <summary>All, in the order of the flags of <see cref="VectorOutputs"/>.</summary>
    public Memory<float>[] All =>
        [Score, FeatureScore, Reconstruction, Latent, LatentDeviation, AnomalyMap, Class, Translation];

    /// <summary>What is asked for.</summary>
    public VectorOutputs Wanted => (VectorOutputs)All.Select((o, i) => o.IsEmpty ? 0 : 1 << i).Sum();
}

/// <summary>
/// A trained network of vectors: scores, reconstructs, encodes and generates rows in the units of the data. Its weights
/// are in managed memory; what computes with them is made when it is first needed, and again after
/// <see cref="Dispose"/>. Safe to use from several threads.
/// </summary>
internal sealed class TrainedVector : IDisposable
{
    /// <summary>What the least change of a constant feature counts in a score.</summary>
    public const float ChangedConstant = 1e6f;

    // One pass for each set of outputs: ONNX Runtime and torch both compute all that a pass has.
    private static readonly string[] s_names = [.. Enumerable.Range(0, 256).Select(wanted => $"rows {wanted}")];

    private readonly InferenceCache _inference;

    public TrainedVector(VectorNetwork network, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    {
        (Network, Device, FallbackToCpu) = (network, device, fallbackToCpu);
        _inference = new InferenceCache(weights, device, fallbackToCpu, network.Backbone);
        Features = VectorNetwork.FeatureScaler(weights);
        Conditions = network.ConditionScaler(weights);
    }

    public VectorNetwork Network { get; }

    /// <summary>Where it is to compute.</summary>
    public ComputeDevice Device { get; }

    /// <summary>Whether the CPU may stand in for a device that is not there.</summary>
    public bool FallbackToCpu { get; }

    public HostWeights Weights => _inference.Weights;

    public VectorScaler Features { get; }

    /// <summary>The scaler of conditions; null without conditions.</summary>
    public VectorScaler? Conditions { get; }

    /// <summary>The mean of each feature of the conditions over the training rows, (C); of a key's, its share.</summary>
    public float[] ConditionMeans => Conditions?.Means ?? [];

    private int Width => Network.Input.Width;

    private int ConditionWidth => Network.Input.ConditionWidth;

    /// <summary>Computes what is asked for of rows with the fields of training, all of them finite.</summary>
    public void Compute(RowBlock block, int count, VectorResults results)
    {
        VectorOutputs wanted = results.Wanted;
        if (wanted == VectorOutputs.None || count == 0)
            return;
        float[] rows = ArrayPool<float>.Shared.Rent(count * Width);
        float[] conditions = ArrayPool<float>.Shared.Rent(count * ConditionWidth);
        try
        {
            Memory<float> z = rows.AsMemory(0, count * Width), c = conditions.AsMemory(0, count * ConditionWidth);
            Standardize(block, count, z.Span, c.Span);
            _inference.Run(
                s_names[(int)wanted], () => new RowPass(Network, wanted, ConditionWidth > 0), count,
                Inputs(z, c), Array.FindAll(results.All, o => !o.IsEmpty), Network.RequiresTorch(wanted));
            if (Network is IScorer { IsLogLikelihood: true })
                Correct(z.Span, count, results);
            foreach (Memory<float> made in (ReadOnlySpan<Memory<float>>)[results.Reconstruction, results.Translation])
            {
                if (!made.IsEmpty)
                    Features.Undo(made.Span[..(count * Width)]);
            }
            if (Features.Constants.Length > 0 && (wanted & (VectorOutputs.Score | VectorOutputs.FeatureScore)) != 0)
                ScoreConstants(block.Singles(0), count, results);
        }
        finally
        {
            ArrayPool<float>.Shared.Return(rows);
            ArrayPool<float>.Shared.Return(conditions);
        }
    }

    /// <summary>Rows as networks see them, (count × D), and their conditions side by side, (count × C).</summary>
    public (float[] Rows, float[] Conditions) Standardize(RowBlock block, int count)
    {
        float[] rows = new float[count * Width], conditions = new float[count * ConditionWidth];
        Standardize(block, count, rows, conditions);
        return (rows, conditions);
    }

    /// <summary>
    /// Makes rows (count × D) with conditions as in training rows, (count × C), the same for the same seed, number and
    /// condition. Where says what all rows have, (C): NaN where they are free, which all are if it is empty. Free ones
    /// come from training rows that share the others, or from any where none does. Features that all rows have, (D), NaN
    /// where they are free, how rows are made, and who is shown all steps, (count × D), are for networks that make them step
    /// by step.
    /// </summary>
    public void Generate(
        Memory<float> rows, Memory<float> conditions, int count, ulong seed, float[] where, float[]? features = null,
        IRowSampling? sampling = null, Action<float[]>? show = null)
    {
        if (Network is IDenoiser denoiser)
        {
            var draws = new SplitMix64(seed);
            float[] drawn = DrawConditions(conditions, count, draws.Next(), where);
            denoiser.Generate(
                rows[..(count * Width)], drawn, count, features is null ? null : Scaled(features), draws.Next(), sampling as DiffusionSampling ?? new(),
                (key, pass, inputs, outputs) => _inference.Run(key, pass, count, inputs, outputs),
                show is null ? null : () => show(Undone()));
            Features.Undo(rows.Span[..(count * Width)]);
            if (features is not null)
                Replace(rows.Span[..(count * Width)], features);
            return;

            float[] Undone()
            {
                float[] copy = rows[..(count * Width)].ToArray();
                Features.UndoLinearly(copy);
                return copy;
            }
        }
        var sampler = (ISampler)Network;
        float[] normal = new float[count * sampler.NormalWidth], uniform = new float[count * sampler.UniformWidth];
        var random = new SplitMix64(seed);
        NormalNumbers.Fill(ref random, normal);
        foreach (ref float number in uniform.AsSpan())
            number = (float)((random.Next() >> 40) * (1.0 / (1 << 24)));
        float[] scaled = DrawConditions(conditions, count, Conditions is null ? 0 : random.Next(), where);
        var gan = sampling as GanSampling;
        Truncate(normal, sampler, gan?.NoiseTruncation, ref random);
        Make(sampler, rows, normal, uniform, scaled, count, gan);
    }

    /// <summary>
    /// Makes rows (count × D) of latent vectors, (count × Z): what else they are made of, the details, is as usual. Where says
    /// all of the conditions of all rows, (C), which go to (count × C).
    /// </summary>
    public void Decode(Memory<float> rows, Memory<float> conditions, ReadOnlySpan<float> latents, int count, float[] where)
    {
        var sampler = (ILatentSampler)Network;
        int latentWidth = sampler.LatentDimension, normalWidth = sampler.NormalWidth;
        float[] normal = new float[count * normalWidth], uniform = new float[count * sampler.UniformWidth];
        for (int row = 0; row < count; row++)
            latents.Slice(row * latentWidth, latentWidth).CopyTo(normal.AsSpan(row * normalWidth));
        Array.Fill(uniform, 0.5f); // what is likelier than not is there
        Make(sampler, rows, normal, uniform, DrawConditions(conditions, count, seed: 0, where), count, sampling: null);
    }

    // Rows of all the numbers that they are made of.
    private void Make(
        ISampler sampler, Memory<float> rows, float[] normal, float[] uniform, float[] scaled, int count, GanSampling? sampling)
    {
        // By what is asked for now: the network's own options may say something else.
        var styles = sampler as IStyleSampler;
        ReadOnlyMemory<float>[] inputs =
            styles is null ? [normal, uniform, scaled] : [normal, .. Styles(styles, sampling ?? new(), normal, count), scaled];
        _inference.Run(
            "sample", () => styles is null ? new SamplePass(sampler, ConditionWidth > 0) : new StylePass(styles, ConditionWidth > 0),
            count, Array.FindAll(inputs, input => !input.IsEmpty), [rows[..(count * Width)]], sampler.SamplesByTorch);
        Features.Undo(rows.Span[..(count * Width)]);
        if (sampler.WholeNumbers is (string lowest, string highest))
            Round(rows.Span[..(count * Width)], Weights[lowest], Weights[highest]);
    }

    /// <summary>
    /// Rows of a block with what is missing, NaN or infinite, filled in by its mean given the rest, (count × D); all else is
    /// as it was, to the bit. A condition that is missing is not known.
    /// </summary>
    public void Impute(RowBlock block, int count, Memory<float> filled)
    {
        ReadOnlySpan<float> rows = block.Singles(0)[..(count * Width)];
        (float[] z, float[] c) = Standardize(block, count);
        float[] isGiven = new float[z.Length], isKnown = new float[c.Length > 0 ? count : 0];
        for (int i = 0; i < z.Length; i++)
            (z[i], isGiven[i]) = float.IsFinite(rows[i]) ? (z[i], 1) : (0, 0);
        for (int row = 0; row < isKnown.Length; row++)
        {
            Span<float> condition = c.AsSpan(row * ConditionWidth, ConditionWidth);
            isKnown[row] = IsFinite(block, row) ? 1 : 0;
            if (isKnown[row] == 0)
                condition.Clear();
        }
        ((IDenoiser)Network).Expect(
            z, isGiven, c, isKnown, filled,
            (key, pass, inputs, outputs) => _inference.Run(key, pass, count, inputs, outputs));
        Features.Undo(filled.Span);
        for (int i = 0; i < rows.Length; i++)
            filled.Span[i] = float.IsFinite(rows[i]) ? rows[i] : filled.Span[i];

        bool IsFinite(RowBlock of, int row) => Enumerable.Range(1, Network.Input.ConditionWidths.Count)
            .All(f => of.SingleRow(f, row).IndexOfAnyExceptInRange(float.MinValue, float.MaxValue) < 0);
    }

    /// <summary>What generates rows, (any × D), that have some features as they are given, (D), NaN where they are free.</summary>
    public FeatureSampler Given(float[] features)
    {
        FeatureSampler sample = ((IConditionalSampler)Network).Given(Weights, Scaled(features));
        return (rows, seed) =>
        {
            sample(rows, seed);
            Features.Undo(rows);
            Replace(rows, features);
        };
    }

    /// <summary>Draws conditions as in training rows, (count × C), and gives the same as networks see them.</summary>
    public float[] DrawConditions(Memory<float> conditions, int count, ulong seed, float[] where)
    {
        float[] scaled = new float[count * ConditionWidth];
        if (Conditions is null)
            return scaled;
        ConditionDraws.Draw(
            Weights[VectorNetwork.ConditionRows], ConditionWidth, conditions.Span, count, seed, where);
        Conditions.Apply(conditions.Span[..scaled.Length], scaled);
        return scaled;
    }

    /// <summary>Computes something by another pass of the network: an array for each width.</summary>
    public float[][] Run(
        IForwardPass pass, ReadOnlyMemory<float> rows, ReadOnlyMemory<float> conditions, int count, int[] widths)
    {
        float[][] results = [.. widths.Select(width => new float[count * width])];
        _inference.RunOnce(pass, count, Inputs(rows, conditions), [.. results.Select(r => r.AsMemory())]);
        return results;
    }

    /// <summary>Writes all tensors of the model as safetensors.</summary>
    public void Save(Stream stream) => Weights.Save(stream);

    /// <summary>Writes the network's weights as safetensors, named and shaped as PyTorch's own layers have them.</summary>
    public void ExportWeights(Stream stream) => Weights.Select(Exported()).Save(stream);

    /// <summary>Takes the network's weights from such a file; all else stays.</summary>
    /// <exception cref="FormatException">
    /// The file does not hold exactly the weights of a network of this shape, or some are NaN or infinite.
    /// </exception>
    public void ImportWeights(Stream stream)
    {
        HostWeights weights = Weights;
        Func<TensorSpec, TensorSpec?> exported = Exported();
        HostWeights read = HostWeights.Load(stream, [.. weights.Select(exported).Specs]);
        foreach (TensorSpec spec in read.Specs)
            HostWeights.CheckFinite(spec, read[spec.Name]);
        _inference.Weights = weights.With(read, exported);
    }

    /// <summary>Lets go of what computes, and of the device's memory; what is asked for later is made again.</summary>
    public void Dispose() => _inference.Dispose();

    /// <summary>Sets the features that all rows, (any × D), have, (D), NaN where they are free, to the bit.</summary>
    public static void Replace(Span<float> rows, ReadOnlySpan<float> features)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            float given = features[i % features.Length];
            rows[i] = float.IsNaN(given) ? rows[i] : given;
        }
    }

    // Of each row the numbers of others, (count × N), how much each layer has of these, (count × L), and what is left of styles, (count).
    private ReadOnlyMemory<float>[] Styles(IStyleSampler sampler, GanSampling sampling, float[] normal, int count)
    {
        float[] other = normal, shares = new float[count * sampler.StyleLayers], left = new float[count];
        Array.Fill(left, (float)sampling.StyleTruncation);
        if (sampling.Mix is (ulong seed, float[] share))
        {
            other = new float[normal.Length];
            var random = new SplitMix64(seed);
            NormalNumbers.Fill(ref random, other);
            if (Conditions is not null)
                random.Next(); // what those rows would have drawn their conditions by
            Truncate(other, sampler, sampling.NoiseTruncation, ref random);
            for (int i = 0; i < shares.Length; i++)
                shares[i] = share[i % share.Length];
        }
        return [other, shares, left];
    }

    // Numbers beyond the limit become others within, of the normal distribution that is cut off there.
    private static void Truncate(float[] normal, ISampler sampler, double? limit, ref SplitMix64 random)
    {
        for (int i = 0; limit is double most && i < normal.Length; i++)
        {
            if (i % sampler.NormalWidth >= sampler.LatentWidth || Math.Abs(normal[i]) <= most)
                continue;
            double drawn;
            do
                drawn = (2 * random.NextDouble() - 1) * most;
            while (random.NextDouble() > Math.Exp(-drawn * drawn / 2));
            normal[i] = (float)drawn;
        }
    }

    private static void Round(Span<float> rows, float[] lowest, float[] highest)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            int j = i % lowest.Length;
            if (lowest[j] <= highest[j])
                rows[i] = Math.Clamp(MathF.Round(rows[i]), lowest[j], highest[j]);
        }
    }

    // A constant feature is zero in every row that networks see: another value than its one is stranger than anything.
    private void ScoreConstants(ReadOnlySpan<float> rows, int count, VectorResults results)
    {
        for (int row = 0; row < count; row++)
        {
            foreach (int j in Features.Constants)
            {
                float distance = Math.Abs(rows[row * Width + j] - Features.Mean(j));
                if (distance == 0)
                    continue;
                float strange = ChangedConstant * (1 + MathF.Log(1 + Math.Min(distance, float.MaxValue)));
                if (!results.Score.IsEmpty)
                    results.Score.Span[row] += strange;
                if (!results.FeatureScore.IsEmpty)
                    results.FeatureScore.Span[row * Width + j] += strange;
            }
        }
    }

    /// <summary>Turns likelihoods of standardised rows, (rows × D), into those of rows in the units of the data.</summary>
    private void Correct(ReadOnlySpan<float> standardized, int count, VectorResults results)
    {
        for (int row = 0; row < count; row++)
        {
            float sum = 0;
            for (int j = 0; j < Width; j++)
            {
                float derivative = Features.LogDerivative(j, standardized[row * Width + j]);
                sum += derivative;
                if (!results.FeatureScore.IsEmpty)
                    results.FeatureScore.Span[row * Width + j] -= derivative;
            }
            if (!results.Score.IsEmpty)
                results.Score.Span[row] -= sum;
        }
    }

    private void Standardize(RowBlock block, int count, Span<float> z, Span<float> c)
    {
        Features.Apply(block.Singles(0)[..(count * Width)], z);
        for (int f = 1, at = 0; f <= Network.Input.ConditionWidths.Count; at += block.Fields[f++].Width)
        {
            for (int row = 0; row < count; row++)
                block.SingleRow(f, row).CopyTo(c[(row * ConditionWidth + at)..]);
        }
        Conditions?.Apply(c, c);
    }

    // Features, (D), as networks see them; NaN stays.
    private float[] Scaled(float[] features)
    {
        float[] scaled = new float[Width];
        Features.Apply(features, scaled);
        for (int j = 0; j < Width; j++)
            scaled[j] = float.IsNaN(features[j]) ? float.NaN : scaled[j];
        return scaled;
    }

    private static ReadOnlyMemory<float>[] Inputs(ReadOnlyMemory<float> rows, ReadOnlyMemory<float> conditions) =>
        conditions.IsEmpty ? [rows] : [rows, conditions];

    // What PyTorch is given of the tensors: parameters, and the buffers of layers, which have a dot in their names.
    private Func<TensorSpec, TensorSpec?> Exported()
    {
        LayerSpecs declared = Network.Declared();
        HashSet<string> names =
        [
            .. declared.Tensors.Select(t => t.Name).Where(
                name => name.Contains('.', StringComparison.Ordinal) || !declared.IsBuffer(name)),
        ];
        return spec => names.Contains(spec.Name) ? spec : null;
    }

    /// <summary>What is asked for of rows, as one forward pass.</summary>
    internal sealed class RowPass(VectorNetwork network, VectorOutputs wanted, bool conditional) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            var rows = new VectorRows<T>(inputs[0], conditional ? inputs[1] : null);
            var outputs = new List<T>();
            // First, for a score may be the distance from it.
            T? reconstruction = Wants(VectorOutputs.Reconstruction)
                ? ((IReconstructor)network).Reconstruct(w, rows)
                : null;
            rows = rows with { Reconstruction = reconstruction };
            // Each by itself, so that a score has the same bits whatever is asked for beside it.
            if (Wants(VectorOutputs.Score))
                outputs.Add(((IScorer)network).Score(w, rows, byFeature: false).Score);
            if (Wants(VectorOutputs.FeatureScore))
                outputs.Add(((IScorer)network).Score(w, rows, byFeature: true).ByFeature!.Value);
            if (reconstruction is { } made)
                outputs.Add(made);
            if (Wants(VectorOutputs.Latent | VectorOutputs.LatentDeviation))
            {
                (T mean, T? deviation) = ((IEncoder)network).Encode(w, rows);
                if (Wants(VectorOutputs.Latent))
                    outputs.Add(mean);
                if (Wants(VectorOutputs.LatentDeviation))
                    outputs.Add(deviation!.Value);
            }
            if (Wants(VectorOutputs.AnomalyMap))
                outputs.Add(((IAnomalyMapper)network).AnomalyMap(w, rows));
            if (Wants(VectorOutputs.Class))
                outputs.Add(((IClassifier)network).Classify(w, rows));
            if (Wants(VectorOutputs.Translation))
                outputs.Add(((ITranslator)network).Translate(w, rows));
            return [.. outputs];
        }

        private bool Wants(VectorOutputs any) => (wanted & any) != 0;
    }

    /// <summary>The making of rows as a forward pass.</summary>
    internal sealed class SamplePass(ISampler sampler, bool conditional) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            int next = 0;
            T normal = sampler.NormalWidth > 0 ? inputs[next++] : default;
            T? uniform = sampler.UniformWidth > 0 ? inputs[next++] : null;
            return [sampler.Sample(w, normal, uniform, conditional ? inputs[next] : null)];
        }
    }

    /// <summary>The same by styles: inputs are numbers, others', shares, what is left of styles, conditions.</summary>
    private sealed class StylePass(IStyleSampler sampler, bool conditional) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [sampler.Sample(w, inputs[0], inputs[1], inputs[2], inputs[3], conditional ? inputs[4] : null)];
    }
}
