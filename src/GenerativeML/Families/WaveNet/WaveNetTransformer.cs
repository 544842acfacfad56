using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained WaveNet: makes sound, goes on with given sound, and as a step of a pipeline scores sounds. On the CPU ONNX
/// Runtime computes, without torch, and each sample takes one step, with what came into the layers before; on a CUDA
/// device, and where ONNX Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class WaveNetTransformer : GenerativeTransformer, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("wavenet", Load);

    internal WaveNetTransformer(WaveNetModel model)
        : base(model)
    {
        Model = model;
        WaveNetOptions options = model.Network.Options;
        var builder = new DataViewSchema.Builder();
        if (options.ConditionColumnName is string condition)
            builder.AddColumn(condition, TextDataViewType.Instance);
        builder.AddColumn(options.SoundColumnName, new VectorDataViewType(NumberDataViewType.Single, options.GeneratedSamples));
        GeneratedSchema = builder.ToSchema();
    }

    /// <summary>
    /// The columns of generated rows: what a sound is of, where training had a column of that, and its samples, from −1 to 1
    /// at <see cref="SampleRate"/>.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>Samples in a second of what is read and made.</summary>
    public int SampleRate => Model.Network.Options.SampleRate;

    /// <summary>The texts of the condition column in training; none without one.</summary>
    public IReadOnlyList<string> Conditions => Model.Conditions;

    /// <summary>Samples before one that it is predicted from.</summary>
    public int ReceptiveField => Model.Network.ReceptiveField;

    /// <summary>
    /// What logits are divided by where samples are drawn. Above 0 and at most 10; saved with the model, and counts for what
    /// is drawn from then on. Default: the option of training.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is out of its range.</exception>
    public double Temperature
    {
        get => Model.Temperature;
        set => Model.Temperature = OptionChecks.Temperature(value);
    }

    /// <summary>
    /// The folder that paths of rows are relative to; null for the program's current one. Default: the option of training;
    /// a loaded model has none.
    /// </summary>
    public string? Folder
    {
        get => Model.Folder;
        set => Model.Folder = value;
    }

    /// <summary>What computes.</summary>
    internal WaveNetModel Model { get; }

    /// <inheritdoc/>
    /// <remarks>A condition may set the column that says what a sound is of; otherwise it is as often what it was in training.</remarks>
    /// <exception cref="InvalidOperationException">The model follows spectrograms.</exception>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        RequireNoSpectrogram();
        int? condition = null;
        if (where?.Columns.Length > 0)
        {
            condition = where.Columns is [{ Values: SomeValues { Values: [string wanted] } } only]
                && only.Column == Model.Network.Options.ConditionColumnName && Conditions.Contains(wanted)
                ? Model.NumberOf(wanted)
                : throw new ArgumentException(
                    $"The condition {where} cannot be met: " + (Conditions.Count == 0 ? "a WaveNet without a condition column has none."
                        : $"column '{Model.Network.Options.ConditionColumnName}' can be one of {string.Join(", ", Conditions.Take(20))}."), nameof(where));
        }
        double temperature = Temperature;
        // As many at once as take 40 MB, and no more than are worth computing together.
        int together = Math.Clamp(10_000_000 / Model.Network.Options.GeneratedSamples, 1, Model.BatchSize), sound = GeneratedSchema.Count - 1;
        return new GeneratedDataView(
            new GeneratedItems<(string? Condition, float[] Samples)>(
                GeneratedSchema, together, seed, random => Model.Make(random, condition, temperature),
                (column, made) => column == sound ? ItemGetters.Vector(() => made().Samples) : ItemGetters.Text(() => made().Condition!)),
            rows);
    }

    /// <summary>Makes a sound.</summary>
    /// <param name="samples">How many samples; at least one. Those of a beginning are not among them.</param>
    /// <param name="condition">What it is to be of, one of <see cref="Conditions"/>. Default: as often as in training.</param>
    /// <param name="seed">Other seeds give other sounds.</param>
    /// <param name="beginning">Sound to go on with, which the result begins with. Default: silence before.</param>
    /// <param name="cancellationToken">Looked at before each sample.</param>
    /// <exception cref="ArgumentException">There is no such condition, or no sample is asked for.</exception>
    /// <exception cref="InvalidOperationException">The model follows spectrograms.</exception>
    public SoundClip Generate(
        int samples, string? condition, int seed = 0, SoundClip? beginning = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(samples);
        RequireNoSpectrogram();
        SplitMix64 random = RowRandom.Of(seed, 0);
        int drawn = Model.Draw(ref random), number = condition is null ? drawn : Model.NumberOf(condition);
        ushort[] begun = beginning is null ? [] : WaveNetTrainer.Encode(beginning, Model.Network.Options);
        if (samples > int.MaxValue - begun.Length)
            throw new ArgumentOutOfRangeException(nameof(samples), samples, "The beginning and the samples are more than an array has room for.");
        float[] made = Model.Generate([number], [random], begun, samples, Temperature, cancellation: cancellationToken)[0];
        return new SoundClip(made, SampleRate);
    }

    /// <summary>
    /// Makes a sound anew from nothing but its spectrogram, and as long as it: of a model that was trained with
    /// <see cref="WaveNetOptions.SpectrogramBands"/>.
    /// </summary>
    /// <param name="sound">The sound; of another rate, it is brought to <see cref="SampleRate"/>.</param>
    /// <param name="condition">What it is to be of, one of <see cref="Conditions"/>. Default: as often as in training.</param>
    /// <param name="seed">Other seeds give other sounds.</param>
    /// <param name="cancellationToken">Looked at before each sample.</param>
    /// <exception cref="ArgumentException">There is no such condition.</exception>
    /// <exception cref="InvalidOperationException">The model follows no spectrograms.</exception>
    public SoundClip Resynthesize(SoundClip sound, string? condition = null, int seed = 0, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(sound);
        if (Model.Network.FrameWidth == 0)
            throw new InvalidOperationException("The model was trained without a spectrogram (option SpectrogramBands), and cannot follow one.");
        SplitMix64 random = RowRandom.Of(seed, 0);
        int drawn = Model.Draw(ref random), number = condition is null ? drawn : Model.NumberOf(condition);
        ushort[] given = WaveNetTrainer.Encode(sound, Model.Network.Options);
        float[] spectrogram = Model.Network.Spectrogram(given);
        return new SoundClip(Model.Generate([number], [random], [], given.Length, Temperature, spectrogram, cancellationToken)[0], SampleRate);
    }

    /// <summary>The mean of −log p over a sound's samples, in nats; NaN of a sound without samples.</summary>
    /// <param name="sound">The sound; of another rate, it is brought to <see cref="SampleRate"/>.</param>
    /// <param name="condition">What it is of, where training had a column of that.</param>
    /// <exception cref="ArgumentException">There is no such condition.</exception>
    public double Score(SoundClip sound, string? condition = null)
    {
        ArgumentNullException.ThrowIfNull(sound);
        return Model.Score(WaveNetTrainer.Encode(sound, Model.Network.Options), Conditions.Count == 0 && condition is null ? 0 : Model.NumberOf(condition ?? ""));
    }

    private void RequireNoSpectrogram()
    {
        if (Model.Network.FrameWidth > 0)
            throw new InvalidOperationException("The model makes sound for a spectrogram (option SpectrogramBands), and none of its own: Resynthesize.");
    }

    private protected override string Family => SavedFamily.Name;

    internal override OnnxPass? PassOf(OnnxContent content)
    {
        (WaveNetNetwork network, WaveNetOptions options) = (Model.Network, Model.Network.Options);
        int state = network.Dilations.Count * options.ResidualChannels, frame = network.FrameWidth;
        int steps = options.WindowLength; // whole frames
        (string, string) dilations = ("dilations", string.Join(' ', network.Dilations));
        return content switch
        {
            OnnxContent.Logits => new(
                Model.Weights, new WaveNetNetwork.LogitsPass(network, steps),
                [("before", steps), ("condition", 1), .. Heard(steps / network.Frame * frame)], ["logits"]),
            OnnxContent.Step => new(
                Model.Weights, new WaveNetNetwork.StepPass(network),
                [("before", 1), ("condition", 1), ("past", state), .. Heard(frame)], ["logits", "into"], dilations),
            _ => null,
        };

        static (string, int)[] Heard(int width) => width > 0 ? [("spectrogram", width)] : [];
    }

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer, new SavedWaveNet(Model.Network.Options with { Temperature = Temperature }, Model.Conditions, Model.Shares), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    private static WaveNetTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedWaveNet saved = ModelJson.Read<SavedWaveNet>(json);
        ModelJson.Check(saved.Options.Validate);
        bool sound = saved.Conditions.Count <= WaveNetTrainer.MaxConditions && saved.Conditions.All(text => text is not null)
            && saved.Conditions.Count == saved.Shares.Count && saved.Conditions.Distinct().Count() == saved.Conditions.Count
            && saved.Conditions.Count > 0 == saved.Options.ConditionColumnName is not null && saved.Shares.All(s => s > 0 && s <= 1);
        if (!sound)
            throw new FormatException("The saved model's conditions are damaged.");
        var network = new WaveNetNetwork(saved.Options, saved.Conditions.Count);
        return new(new WaveNetModel(
            network, HostWeights.Load(weights, network.Tensors), saved.Conditions, saved.Shares,
            HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment)));
    }
}

/// <summary>What <c>options.json</c> holds of a WaveNet.</summary>
internal sealed record SavedWaveNet(WaveNetOptions Options, IReadOnlyList<string> Conditions, IReadOnlyList<double> Shares);

/// <summary>A trained WaveNet over rows. Safe to use from several threads.</summary>
internal sealed class WaveNetModel(
    WaveNetNetwork network, HostWeights weights, IReadOnlyList<string> conditions, IReadOnlyList<double> shares, ComputeDevice device,
    bool fallbackToCpu) : IBatchModel
{
    // Windows at once, and about how many numbers they may hold.
    private const int RowsAtOnce = 4;
    private const long MaxNumbers = 1L << 26;

    // Samples that are scored at once, behind as many as the network looks back.
    private static readonly int[] s_scoredSamples = [128, 512, 2048];

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);
    private readonly Dictionary<string, int> _numbers = conditions.Select((text, i) => (text, i)).ToDictionary(c => c.text, c => c.i);

    public WaveNetNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    public IReadOnlyList<string> Conditions => conditions;

    /// <summary>How often each was there in training.</summary>
    public IReadOnlyList<double> Shares => shares;

    /// <summary>What logits are divided by.</summary>
    public double Temperature { get; set; } = network.Options.Temperature;

    /// <summary>What paths are relative to.</summary>
    public string? Folder { get; set; } = network.Options.Folder;

    public IReadOnlyList<RowField> Inputs { get; } =
        [.. network.Options.Inputs().Select(name => new RowField(name, FieldKind.Text, Width: 1))];

    public IReadOnlyList<OutputColumn> Outputs { get; } = network.Options.Outputs();

    public int BatchSize => 16;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>The number of a condition.</summary>
    /// <exception cref="ArgumentException">There is no such condition.</exception>
    public int NumberOf(string condition) => _numbers.TryGetValue(condition, out int number) ? number : throw new ArgumentException(
        conditions.Count == 0 ? "The model was trained without a condition column, and knows no conditions."
            : $"There is no condition '{condition}'; training had {string.Join(", ", conditions.Take(20))}{(conditions.Count > 20 ? " …" : "")}.");

    /// <summary>A condition, as often as it was there in training; zero where there are none.</summary>
    public int Draw(ref SplitMix64 random)
    {
        double point = random.NextDouble();
        return conditions.Count == 0 ? 0 : SplitMix64.Choose([.. shares], point);
    }

    /// <summary>The mean of −log p over samples.</summary>
    public double Score(ReadOnlySpan<ushort> samples, int condition)
    {
        // Short sounds take short windows, which a graph each is made for.
        int length = samples.Length, scored = Array.Find(s_scoredSamples, size => size >= length);
        scored = scored == 0 ? s_scoredSamples[^1] : scored;
        int context = network.ReceptiveField - 1, frame = network.Frame, windows = (length + scored - 1) / scored;
        int steps = (scored + context + 2 * (frame - 1)) / frame * frame, told = steps / frame * network.FrameWidth;
        float[] spectrogram = network.Spectrogram(samples);
        long numbers = (long)steps * (3L * network.Options.QuantizationLevels + 8L * network.Options.ResidualChannels);
        int together = (int)Math.Clamp(MaxNumbers / numbers, 1, RowsAtOnce);
        double nats = 0;
        for (int first = 0; first < windows; first += together)
        {
            int rows = Math.Min(together, windows - first);
            float[] seen = new float[rows * (steps + 1)], logs = new float[rows * steps], classes = new float[rows], frames = new float[rows * told];
            Array.Fill(seen, network.Silence);
            Array.Fill(classes, condition);
            for (int row = 0; row < rows; row++)
            {
                int start = Start(first + row);
                network.Place(frames.AsSpan(row * told, told), spectrogram, start / frame);
                for (int i = start == 0 ? 1 : 0; i <= steps && start - 1 + i < length; i++)
                    seen[row * (steps + 1) + i] = samples[start - 1 + i];
            }
            _inference.Run(
                $"log {steps}", () => new WaveNetNetwork.LogPass(network, steps), rows, told > 0 ? [seen, classes, frames] : [seen, classes], [logs]);
            for (int row = 0; row < rows; row++)
            {
                for (int at = (first + row) * scored; at < Math.Min((first + row + 1) * scored, length); at++)
                    nats -= logs[row * steps + at - Start(first + row)];
            }
        }
        return nats / length;

        // Where a window begins: with a frame, and far enough before what it scores, but not before the sound, where nothing
        // is, as in training.
        int Start(int window) => Math.Max(0, window * scored - context) / frame * frame;
    }

    /// <summary>Makes sounds of a condition, or of those that training had, as often as they were there.</summary>
    public (string? Condition, float[] Samples)[] Make(SplitMix64[] random, int? condition, double temperature)
    {
        int[] of = new int[random.Length];
        for (int i = 0; i < of.Length; i++)
        {
            int drawn = Draw(ref random[i]);
            of[i] = condition ?? drawn;
        }
        float[][] sounds = Generate(of, random, [], network.Options.GeneratedSamples, temperature);
        return [.. sounds.Select((sound, i) => (conditions.ElementAtOrDefault(of[i]), sound))];
    }

    /// <summary>
    /// Makes sounds side by side, each of a condition and by random numbers of its own, behind a beginning, all of which follow
    /// a spectrogram where the network does: the samples of both.
    /// </summary>
    public float[][] Generate(
        int[] of, SplitMix64[] random, ReadOnlySpan<ushort> beginning, int samples, double temperature, float[]? spectrogram = null,
        CancellationToken cancellation = default)
    {
        int rows = of.Length, levels = network.Options.QuantizationLevels, channels = network.Options.ResidualChannels;
        var state = new Memory(network, rows);
        float[] before = new float[rows], classes = [.. of.Select(c => (float)c)], logits = new float[rows * levels];
        float[] into = new float[rows * network.Dilations.Count * channels], frames = new float[rows * network.FrameWidth];
        ReadOnlyMemory<float>[] inputs = frames.Length > 0 ? [before, classes, state.Past, frames] : [before, classes, state.Past];
        double[] weights = new double[levels];
        int all = beginning.Length + samples;
        float[][] made = [.. of.Select(_ => new float[all])];
        Array.Fill(before, network.Silence);
        for (int t = 0; t < all; t++)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int row = 0; row < rows && frames.Length > 0 && t % network.Frame == 0; row++)
            {
                Span<float> frame = frames.AsSpan(row * network.FrameWidth, network.FrameWidth);
                frame.Clear();
                network.Place(frame, spectrogram, t / network.Frame);
            }
            _inference.Run("step", () => new WaveNetNetwork.StepPass(network), rows, inputs, [logits, into]);
            state.Add(into);
            for (int row = 0; row < rows; row++)
            {
                int code;
                if (t < beginning.Length)
                {
                    code = beginning[t];
                }
                else
                {
                    MixtureDensity.Weights(logits.AsSpan(row * levels, levels), temperature, weights);
                    code = SplitMix64.Choose(weights, random[row].NextDouble());
                }
                before[row] = code;
                made[row][t] = SoundClip.FromMuLaw(code, levels);
            }
        }
        return made;
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int score = outputs.NumberOf(network.Options.ScoreColumnName);
        for (int row = 0; row < rows && score >= 0; row++)
        {
            string path = inputs.Texts(0)[row];
            int field = 0;
            try
            {
                ushort[] samples = path.Length > 0 ? WaveNetTrainer.ReadFile(path, Folder, network.Options) : [];
                field = Inputs.Count - 1;
                outputs.Singles(score)[row] = samples.Length == 0
                    ? float.NaN : (float)Score(samples, field == 0 ? 0 : NumberOf(inputs.Texts(1)[row]));
            }
            catch (Exception wrong) when (wrong is FormatException or InvalidOperationException or ArgumentException)
            {
                throw new RowException(row, Inputs[field].Name, wrong);
            }
        }
    }

    public void Dispose() => _inference.Dispose();

    /// <summary>What came into each layer in its last steps, as many as its dilation: rings, of which one place is next.</summary>
    private sealed class Memory
    {
        private readonly WaveNetNetwork _network;
        private readonly float[][] _rings; // of each layer (dilation × rows × R)
        private readonly int _rows, _channels;
        private int _step;

        public Memory(WaveNetNetwork network, int rows)
        {
            (_network, _rows, _channels) = (network, rows, network.Options.ResidualChannels);
            _rings = [.. network.Dilations.Select(dilation => new float[dilation * rows * _channels])];
            Past = new float[rows * network.Dilations.Count * _channels];
        }

        /// <summary>What the second taps of the next step read, (rows × layers × R).</summary>
        public float[] Past { get; }

        /// <summary>Takes what came into the layers in a step.</summary>
        public void Add(float[] into)
        {
            for (int layer = 0; layer < _rings.Length; layer++)
            {
                int dilation = _network.Dilations[layer], now = _step % dilation, next = (_step + 1) % dilation;
                for (int row = 0; row < _rows; row++)
                {
                    Span<float> place = into.AsSpan((row * _rings.Length + layer) * _channels, _channels);
                    place.CopyTo(_rings[layer].AsSpan((now * _rows + row) * _channels));
                    _rings[layer].AsSpan((next * _rows + row) * _channels, _channels)
                        .CopyTo(Past.AsSpan((row * _rings.Length + layer) * _channels));
                }
            }
            _step++;
        }
    }
}
