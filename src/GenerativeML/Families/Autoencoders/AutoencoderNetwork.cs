using TorchSharp;

namespace GenerativeML;

/// <summary>
/// One autoencoder or several side by side: D → hidden layers → latent → hidden layers reversed → D, each hidden layer
/// followed by batch normalisation (on request), the activation and dropout. The networks are trained to undo noise;
/// a detector's score adds to their error how far a row is from stored training rows.
/// </summary>
internal sealed class AutoencoderNetwork : VectorNetwork, IScorer, IReconstructor, IEncoder
{
    // A feature may be wild whose reconstruction lies so many deviations off; so many of a row are replaced at most.
    private const float LeastMisfit = 2;
    private const int MaxReplaced = 3;

    private readonly AutoencoderOptions _options;
    private readonly int[] _inwards, _outwards;
    private readonly NearestRows _nearest;
    private readonly int _width, _members;
    private readonly bool _masks, _hasLevels;
    private readonly double _highest, _lowest;

    public AutoencoderNetwork(AutoencoderOptions options, VectorInput input)
        : base(input)
    {
        _options = options;
        _width = input.Width;
        _members = options.EnsembleSize!.Value;
        _masks = options.InputMasking > 0;
        _highest = options.InputNoise!.Value;
        _hasLevels = options.Detects && _highest > 0;
        _lowest = _hasLevels ? _highest / 15 : _highest;
        // What the networks see of a row: its values, a mark for each that is hidden, and the noise's level.
        int seen = (_masks ? 2 : 1) * _width + (_hasLevels ? 1 : 0);
        LatentDimension = options.LatentDimension!.Value;
        _inwards = [seen, .. options.HiddenLayers!, LatentDimension];
        _outwards = [LatentDimension, .. options.HiddenLayers!.Reverse(), _width];
        _nearest = new NearestRows(options.ReferenceRows, _width);
    }

    public int LatentDimension { get; }

    public override int WidestLayer => _inwards.Skip(1).Max();

    public override void Declare(Layers layers)
    {
        Stack("encoder", _inwards);
        Stack("decoder", _outwards);
        layers.Buffer("feature_mask", _width); // zero where a feature is constant: what is made of it is no evidence
        if (!_options.Detects)
            return;
        layers.Buffer("part_weight", 3); // what networks, nearest few and nearest many count in the score
        _nearest.Declare(layers);

        void Stack(string name, int[] widths)
        {
            for (int i = 0; i + 1 < widths.Length; i++)
            {
                layers.Linear($"{name}.{i}", widths[i], widths[i + 1], _members);
                if (_options.BatchNormalization && i + 2 < widths.Length)
                    layers.BatchNorm($"{name}_norm.{i}", widths[i + 1], _members);
            }
        }
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        VectorScaler scaler = FeatureScaler(weights);
        for (int j = 0; j < _width; j++)
            weights["feature_mask"][j] = scaler.IsConstant(j) ? 0 : 1;
    }

    public override int RowAxis => _members > 1 ? 1 : 0;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        SeededRandom random = step.Step.Random;
        long rows = step.Rows.shape[0];
        long[] perRow = [_members, rows, 1], perFeature = [_members, rows, _width];
        TorchTensor clean = step.Rows.unsqueeze(0), input = clean.Value.expand(_members, -1, -1);
        TorchTensor? level = null, deviation = null;
        if (_hasLevels)
        {
            level = random.Uniform(perRow, Math.Log(_lowest), Math.Log(_highest), rowAxis: 1);
            deviation = level.Value.Apply(Function.Exp);
            input = clean + (TorchTensor)random.Normal(perFeature, rowAxis: 1) * deviation.Value;
        }
        else if (_highest > 0)
        {
            input = clean + (TorchTensor)random.Normal(perFeature, _highest, rowAxis: 1);
        }
        var inputs = new List<TorchTensor> { input };
        if (_masks)
        {
            // Half of the rows hide up to so many of their features.
            TorchTensor share = random.Uniform(perRow, 0, _options.InputMasking!.Value, rowAxis: 1).mul_(random.Bernoulli(perRow, 0.5, rowAxis: 1));
            TorchTensor hidden = random.Uniform(perFeature, 0, 1, rowAxis: 1).lt(share.Value).to(torch.ScalarType.Float32);
            inputs = [input - input * hidden, hidden];
        }
        if (level is { } known)
            inputs.Add(known);
        TorchTensor all = inputs.Count == 1 ? input : TorchTensor.Concat(2, [.. inputs]);
        if (_members == 1)
            all = all.Squeeze(0);
        TorchTensor made = Decode(step.Weights, Stack(step.Weights, "encoder", _inwards.Length - 1, all));
        TorchTensor error = (made - (_members == 1 ? (TorchTensor)step.Rows : clean)).Apply(Function.Square);
        // Much noise leaves a large error that no network can undo; it should not drown out the rest.
        if (deviation is { } much)
            error = (_members == 1 ? error.Unsqueeze(0) : error) / (much * much + 0.1f);
        return [new LossTerm("reconstruction", error.Value.mean())];
    }

    public override IReadOnlyList<string> CalibratedTensors => _options.Detects ? ["part_weight"] : [];

    public override void Calibrate(VectorCalibration calibration)
    {
        if (!_options.Detects)
            return;
        _nearest.Store(calibration, Input.Seed);
        calibration.SetPartWeights(calibration.Run(new PartsPass(this), 1, 1, 1));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => WeightedSum(w, Parts(w, rows.Features, byFeature), byFeature);

    // A wild feature spoils what is made of the others. So the one that fits worst is replaced by what the networks make
    // of the row without it, up to three of them, and that is taken if the other features fit far better then.
    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T z = rows.Features, made = Mean(w, z);
        if (_options.LatentColumnName is not null)
            return made; // what the latent vector decodes to
        T trial = made, replaced = z * 0f, zero = w.Constant(0), one = w.Constant(1);
        for (int round = 0; round < MaxReplaced; round++)
        {
            // Only what would be brought nearer to the mean: ordinary features beside a wild one are drawn away from it.
            T misfit = (z - trial).Apply(Function.Abs) * w["feature_mask"] * (one - replaced);
            misfit = T.IfLess(trial.Apply(Function.Abs), z.Apply(Function.Abs), misfit, zero);
            T worst = T.Max(misfit.Reduce(Reduction.Max, 1), w.Constant(LeastMisfit));
            replaced += T.IfLess(misfit, worst, zero, one);
            T others = one - replaced;
            trial = Mean(w, z * others);
            trial = Mean(w, T.IfLess(zero, replaced, trial, z));
            made = T.IfLess(Error(trial), Error(made) * 0.5f, trial, made);

            T Error(T of) => ((of - z).Apply(Function.Square) * w["feature_mask"] * others).Reduce(Reduction.Sum, 1);
        }
        return made;
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (EncodeClean(Member(w, 0), rows.Features), null);

    // The networks' mean squared error, and what the stored rows say.
    private T[] Parts<T>(Scope<T> w, T z, bool byFeature)
        where T : struct, ITensor<T>
    {
        T error = (Reconstruct(Member(w, 0), z) - z).Apply(Function.Square);
        for (int member = 1; member < _members; member++)
            error += (Reconstruct(Member(w, member), z) - z).Apply(Function.Square);
        error = error * w["feature_mask"] * (1f / _members);
        if (!byFeature)
            error = error.Reduce(Reduction.Sum, 1);
        (T near, T far) = _options.ReferenceRows > 0 ? _nearest.Differences(w, z, byFeature) : (error * 0f, error * 0f);
        return [error, near, far];
    }

    // What the networks make of rows, on average.
    private T Mean<T>(Scope<T> w, T z)
        where T : struct, ITensor<T>
    {
        T sum = Reconstruct(Member(w, 0), z);
        for (int member = 1; member < _members; member++)
            sum += Reconstruct(Member(w, member), z);
        return sum * (1f / _members);
    }

    private Scope<T> Member<T>(Scope<T> w, int member)
        where T : struct, ITensor<T> => _members == 1 ? w : w.OfMember(member);

    private T Reconstruct<T>(Scope<T> w, T z)
        where T : struct, ITensor<T> => Decode(w, EncodeClean(w, z));

    private T EncodeClean<T>(Scope<T> w, T z)
        where T : struct, ITensor<T>
    {
        if (_inwards[0] == _width)
            return Stack(w, "encoder", _inwards.Length - 1, z);
        // What follows the values never changes in a clean input: nothing is hidden, and the level is known.
        T weight = w["encoder.0.weight"], bias = w["encoder.0.bias"];
        if (_hasLevels)
        {
            T level = weight.Slice(1, _inwards[0] - 1, 1) * MathF.Log((float)(_highest / 7.5)); // (outputs, 1)
            bias += level.Reshape(1, _inwards[1]);
        }
        return Stack(w, "encoder", _inwards.Length - 1, z, (weight.Slice(1, 0, _width), bias));
    }

    private T Decode<T>(Scope<T> w, T latent)
        where T : struct, ITensor<T> => Stack(w, "decoder", _outwards.Length - 1, latent);

    private T Stack<T>(Scope<T> w, string name, int layers, T x, (T Weight, T Bias)? first = null)
        where T : struct, ITensor<T>
    {
        for (int i = 0; i < layers; i++)
        {
            x = i == 0 && first is { } layer ? x.Linear(layer.Weight, layer.Bias) : w.Linear($"{name}.{i}", x);
            if (i == layers - 1)
                break;
            if (_options.BatchNormalization)
                x = w.BatchNorm($"{name}_norm.{i}", x);
            x = w.Dropout(x.Apply(_options.Activation), _options.Dropout);
        }
        return x;
    }

    /// <summary>The parts of the score before they are weighted.</summary>
    private sealed class PartsPass(AutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => network.Parts(w, inputs[0], byFeature: false);
    }
}
