namespace GenerativeML;

/// <summary>
/// What a decoder's output says of standardised rows: of a Gaussian feature its mean, of a Bernoulli feature its logit.
/// Bernoulli features are centred, not scaled, so that rare ones are not amplified.
/// </summary>
internal sealed class FeatureLikelihood
{
    // A deviation below a hundredth of the data's is not learned from rows, but by copying repeated values, and its
    // likelihood has no bound.
    private const float MinLogVariance = -9.2f;

    // What a Bernoulli feature's value counts, in nats, for each unit by which it lies outside [0, 1].
    private const float Outside = 10;

    // In the place of zero, whose logarithm would not be zero times zero.
    private const float Tiny = 1e-30f;

    private const float MinProbability = 1e-3f; // that an untrained decoder starts from

    private static readonly float s_halfLogTwoPi = (float)(0.5 * Math.Log(2 * Math.PI));

    /// <exception cref="FormatException">There is not one likelihood for each feature.</exception>
    public FeatureLikelihood(VariationalOptions options, int width)
    {
        if (options.FeatureLikelihoods is { } each && each.Count != width)
            throw new FormatException("The saved model's likelihoods do not fit its features.");
        IsBernoulli = [.. Enumerable.Range(0, width).Select(
            j => (options.FeatureLikelihoods?[j] ?? options.Likelihood) == VaeLikelihood.Bernoulli)];
        HasBernoulli = IsBernoulli.Contains(true);
        HasGaussian = IsBernoulli.Contains(false);
    }

    /// <summary>Which features are Bernoulli.</summary>
    public bool[] IsBernoulli { get; }

    /// <summary>Whether any feature is Bernoulli.</summary>
    public bool HasBernoulli { get; }

    /// <summary>Whether any feature is Gaussian.</summary>
    public bool HasGaussian { get; }

    /// <summary>Declares what it is computed with, (D) each.</summary>
    public void Declare(Layers layers)
    {
        int width = IsBernoulli.Length;
        if (HasGaussian)
            layers.Parameter("output_log_variance", 0, width); // of Gaussian features, in squared deviations of the data
        layers.Buffer("bernoulli", width); // one where Bernoulli
        layers.Buffer("bernoulli_mean", width); // what Bernoulli features are centred by, otherwise zero
        layers.Buffer("binary", width); // one where a Bernoulli feature was never a share
        layers.Buffer("feature_mask", width); // zero where a Gaussian feature is constant
    }

    /// <summary>
    /// Sets the buffers, and lets an untrained decoder give the mean of each feature. A Bernoulli feature has
    /// <paramref name="low"/> for zero, and one over its scale more for one.
    /// </summary>
    public void Initialize(HostWeights weights, float[] outputBias, bool[] binary, float low)
    {
        VectorScaler scaler = VectorNetwork.FeatureScaler(weights);
        for (int j = 0; j < IsBernoulli.Length; j++)
        {
            weights["feature_mask"][j] = scaler.IsConstant(j) ? 0 : 1;
            outputBias[j] = 0;
            if (!IsBernoulli[j])
                continue;
            float mean = (scaler.Mean(j) - low) * scaler.Scale(j);
            float share = Math.Clamp(mean, MinProbability, 1 - MinProbability);
            outputBias[j] = MathF.Log(share / (1 - share));
            weights["bernoulli"][j] = 1;
            weights["bernoulli_mean"][j] = mean;
            weights["binary"][j] = binary[j] ? 1 : 0;
        }
    }

    /// <summary>−log p of each feature, in nats; of a share the cross-entropy. (…, D), (…, D) → (…, D).</summary>
    public T Loss<T>(Scope<T> w, T rows, T decoded)
        where T : struct, ITensor<T> => Choose(
            w, () => CrossEntropy(w, rows, decoded), () =>
            {
                T constant = (LogVariance(w) * 0.5f + s_halfLogTwoPi) * w["feature_mask"];
                return Square(w, rows, decoded) + constant;
            });

    /// <summary>
    /// Added to <see cref="Loss"/>, so that a Bernoulli feature counts by how it differs, not by what it is: a share's
    /// entropy is taken off, what lies outside [0, 1] is added. (B, D) → (B, D).
    /// </summary>
    public T Correction<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T> => Choose(w, () => Surprise(w, rows), () => rows * 0f);

    /// <summary>By how many nats each feature is less likely than had the decoder given just the row, (B, D).</summary>
    public T Excess<T>(Scope<T> w, T rows, T decoded)
        where T : struct, ITensor<T> => Choose(
            w,
            // Rounding may leave a little below zero.
            () => T.Max(CrossEntropy(w, rows, decoded) + Surprise(w, rows), w.Constant(0)),
            () => Square(w, rows, decoded));

    /// <summary>The expected rows as the encoder can see them; constant features are zero. (B, D) → (B, D).</summary>
    public T StandardizeReconstruction<T>(Scope<T> w, T decoded)
        where T : struct, ITensor<T> => Choose(
            w, () => decoded.Apply(Function.Sigmoid) - w["bernoulli_mean"], () => decoded * w["feature_mask"]);

    /// <summary>Rows drawn by what the decoder gave; shares, which were not binary, as expected. (B, D).</summary>
    public T Sample<T>(Scope<T> w, T decoded, T? normal, T? uniform)
        where T : struct, ITensor<T>
    {
        return Choose(
            w, Bernoulli, () => decoded + normal!.Value * (LogVariance(w) * 0.5f).Apply(Function.Exp));

        T Bernoulli()
        {
            T share = decoded.Apply(Function.Sigmoid);
            T zero = share * 0f;
            T drawn = T.IfLess(uniform!.Value, share, zero + 1f, zero);
            return T.IfLess(w["binary"], w.Constant(0.5f), share, drawn) - w["bernoulli_mean"];
        }
    }

    private static T CrossEntropy<T>(Scope<T> w, T rows, T decoded)
        where T : struct, ITensor<T> => decoded.Apply(Function.Softplus) - Share(w, rows) * decoded;

    // Half the squared difference in units of the learned variance.
    private static T Square<T>(Scope<T> w, T rows, T decoded)
        where T : struct, ITensor<T> =>
        (rows - decoded).Apply(Function.Square) * ((-LogVariance(w)).Apply(Function.Exp) * w["feature_mask"] * 0.5f);

    // What lies outside [0, 1], less the entropy of the share within.
    private static T Surprise<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T>
    {
        T share = Share(w, rows);
        T outside = (rows + w["bernoulli_mean"] - share).Apply(Function.Abs);
        return outside * Outside + TimesLog(share) + TimesLog(1f - share);

        static T TimesLog(T p) => p * p.Clamp(Tiny, 1).Apply(Function.Log);
    }

    private static T LogVariance<T>(Scope<T> w)
        where T : struct, ITensor<T> => w["output_log_variance"].Clamp(MinLogVariance, float.MaxValue);

    private static T Share<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T> => (rows + w["bernoulli_mean"]).Clamp(0, 1);

    private T Choose<T>(Scope<T> w, Func<T> bernoulli, Func<T> gaussian)
        where T : struct, ITensor<T> => !HasBernoulli ? gaussian()
            : !HasGaussian ? bernoulli()
            : T.IfLess(w["bernoulli"], w.Constant(0.5f), gaussian(), bernoulli());
}
