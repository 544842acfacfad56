using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a WaveNet (van den Oord 2016, https://arxiv.org/abs/1609.03499) on sound: a network of dilated causal
/// convolutions that tells each sample from those before it. The trained model makes sound, goes on with given sound, and
/// tells how likely sound is.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.WaveNet(WaveNetOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Generation of sound, anomaly scores.</description></item>
/// <item><term>Input</term><description>A column of text with the paths of WAV files, and on request one that says what
/// each is of. Rows without a path, and files without samples, are left out.</description></item>
/// <item><term>Caching</term><description>The sounds are held in memory, two bytes a sample; each file is read
/// once.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, TorchSharp-cpu or TorchSharp-cuda; a trained
/// model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// </remarks>
public sealed class WaveNetTrainer : GenerativeEstimator<WaveNetTransformer>
{
    /// <summary>The most different conditions.</summary>
    internal const int MaxConditions = 100_000;

    private readonly WaveNetOptions _options;

    internal WaveNetTrainer(IHostEnvironment environment, WaveNetOptions options)
        : base(environment, nameof(WaveNetTrainer), options) => _options = options;

    /// <summary>Reads a file as the network takes it.</summary>
    /// <exception cref="FormatException">It cannot be read.</exception>
    internal static ushort[] ReadFile(string path, string? folder, WaveNetOptions options)
    {
        try
        {
            SoundClip clip = SoundClip.ReadWav(folder is null ? path : Path.Combine(folder, path));
            return Encode(clip, options);
        }
        catch (Exception wrong) when (wrong is FormatException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new FormatException($"The file '{path}' cannot be used. {wrong.Message}", wrong);
        }
    }

    /// <summary>A sound as the network takes it.</summary>
    internal static ushort[] Encode(SoundClip clip, WaveNetOptions options) => Array.ConvertAll(
        SoundClip.ToMuLaw(clip.Resample(options.SampleRate).Samples, options.QuantizationLevels), code => (ushort)code);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs();

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        foreach (string column in _options.Inputs())
            InputColumns.Check(inputSchema, column, InputKind.Text, parameter);
    }

    private protected override WaveNetTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        (List<Sound> sounds, List<string> conditions) = Read(input, parameter);
        WaveNetOptions options = _options.Resolve(context.Seed);
        var network = new WaveNetNetwork(options, conditions.Count);
        if (network.ReceptiveField > options.WindowLength / 2)
            context.Warning?.Invoke(
                $"The network looks back {network.ReceptiveField} samples, and windows have {options.WindowLength} (option {nameof(options.WindowLength)}): most of what is learned is from less.");
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.ResidualChannels, options.AtOnce(options.BatchSize!.Value * (long)options.WindowLength));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new SoundWindows(sounds, network, device);
        TrainingRun run = TrainingRun.OfSteps(
            data, options, context, options.Steps, ("family", WaveNetTransformer.SavedFamily.Name), ("bfloat16", bfloat16));
        HostWeights weights = NetworkFit.Run(network, network.Tensors, network.Initialize, data, run, device, bfloat16);
        double[] shares = new double[conditions.Count];
        foreach (Sound sound in sounds.Where(_ => shares.Length > 0))
            shares[sound.Condition] += 1.0 / sounds.Count;
        return new(new WaveNetModel(network, weights, conditions, shares, context.Device, context.FallbackToCpu));
    }

    private (List<Sound> Sounds, List<string> Conditions) Read(IDataView input, string parameter)
    {
        using IEnumerator<string>? classes = _options.ConditionColumnName is string name
            ? new TextColumn(input, name, parameter, _options.CancellationToken).Texts().GetEnumerator() : null;
        List<string> conditions = [];
        Dictionary<string, int> numbers = [];
        List<Sound> sounds = new TextColumn(input, _options.PathColumnName, parameter, _options.CancellationToken).Parse(
            ("sound", "sounds", ":"), _options.CacheBudgetBytes, SoundOf,
            sound => sizeof(ushort) * (long)sound.Samples.Length
                + sizeof(float) * (long)_options.SpectrogramBands * sound.Samples.Length / _options.SpectrogramHop);
        return (sounds, conditions);

        Sound? SoundOf(string path)
        {
            _ = classes?.MoveNext();
            ushort[] samples = path.Length > 0 ? ReadFile(path, _options.Folder, _options) : [];
            return samples.Length > 0 ? new(samples, classes is null ? 0 : NumberOf(classes.Current)) : null;
        }

        int NumberOf(string condition)
        {
            if (numbers.TryGetValue(condition, out int number))
                return number;
            if (conditions.Count == MaxConditions)
                throw new InvalidOperationException($"Column '{_options.ConditionColumnName}' has more than {MaxConditions} different texts.");
            conditions.Add(condition);
            return numbers[condition] = conditions.Count - 1;
        }
    }
}

/// <summary>A sound's samples by the µ-law, and which class it is of.</summary>
internal sealed record Sound(ushort[] Samples, int Condition)
{
    /// <summary>The spectrogram that is followed, if any.</summary>
    public float[] Spectrogram { get; init; } = [];
}

/// <summary>
/// Windows of sounds: samples behind the one before the first, (B, T + 1); classes, (B, 1); and one for each sample that
/// counts, else zero, (B, T): not those behind a sound's end, nor in the middle of a sound those that see too little of
/// what was before; and where spectrograms are followed their frames, (B, F·3·bands). An epoch is as many windows as hold
/// all samples.
/// </summary>
internal sealed class SoundWindows : TrainingData
{
    private readonly WaveNetNetwork _network;
    private readonly Sound[] _trained, _held;
    private readonly long[] _ends; // samples up to and with each sound

    public SoundWindows(IReadOnlyList<Sound> sounds, WaveNetNetwork network, torch.Device device)
        : base([new RowField(network.Options.PathColumnName, FieldKind.Int64, network.Options.WindowLength + 1)], device, network.Options.Seed!.Value, null)
    {
        _network = network;
        var held = new ValidationRows(network.Options.ValidationFraction, Seed, sounds.Count - 1);
        ILookup<bool, Sound> parts = sounds.Select((sound, i) => (sound with { Spectrogram = network.Spectrogram(sound.Samples) }, i))
            .ToLookup(s => held.Contains(s.i), s => s.Item1);
        (_trained, _held) = ([.. parts[false]], [.. parts[true]]);
        _ends = new long[_trained.Length];
        for (int i = 0; i < _ends.Length; i++)
            _ends[i] = (i > 0 ? _ends[i - 1] : 0) + _trained[i].Samples.Length;
        TrainingRows = (_ends[^1] + network.Options.WindowLength - 1) / network.Options.WindowLength;
        ValidationRows = _held.Length;
    }

    public override IReadOnlyList<string> Fingerprints
    {
        get
        {
            var fingerprint = new Fingerprint();
            foreach (Sound sound in _trained.Concat(_held))
            {
                fingerprint.Add((ulong)sound.Condition);
                fingerprint.Add([.. sound.Samples.Select(s => (long)s)]);
            }
            return [fingerprint.ToString()];
        }
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        long batches = BatchesPerEpoch(batchSize);
        return MakeEach(batchSize, skip, number =>
        {
            var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch * batches + number));
            int rows = (int)(RowsBefore(number + 1, batchSize) - RowsBefore(number, batchSize));
            return Make([.. Enumerable.Range(0, rows).Select(_ => Draw(ref random))]);
        });
    }

    // The beginnings of sounds.
    public override IEnumerable<Batch> Validation(int batchSize) =>
        _held.Chunk(batchSize).Select(sounds => Make([.. sounds.Select(sound => (sound, 0))]));

    // A sound by its length, and a place in it: as often as not its beginning comes into the window.
    private (Sound Sound, int Start) Draw(ref SplitMix64 random)
    {
        int found = Array.BinarySearch(_ends, (long)(random.NextDouble() * _ends[^1]) + 1);
        Sound sound = _trained[found < 0 ? ~found : found];
        int window = _network.Options.WindowLength, start = random.Next(Math.Max(1, sound.Samples.Length - window / 2 + 1) + window / 2) - window / 2;
        int frame = _network.Frame, last = (Math.Max(0, sound.Samples.Length - window) + frame - 1) / frame * frame; // its end comes in, too
        start = Math.Clamp(start, 0, last);
        return (sound, start - start % frame);
    }

    private Batch Make((Sound Sound, int Start)[] windows)
    {
        int window = _network.Options.WindowLength, context = Math.Min(_network.ReceptiveField, window / 2);
        long[] samples = new long[windows.Length * (window + 1)];
        int told = window / _network.Frame * _network.FrameWidth;
        float[] counts = new float[windows.Length * window], frames = new float[windows.Length * told];
        Array.Fill(samples, _network.Silence);
        for (int row = 0; row < windows.Length; row++)
        {
            (Sound sound, int start) = windows[row];
            int count = Math.Min(window, sound.Samples.Length - start), unseen = start == 0 ? 0 : context;
            for (int i = start == 0 ? 0 : -1; i < count; i++)
                samples[row * (window + 1) + 1 + i] = sound.Samples[start + i];
            _network.Place(frames.AsSpan(row * told, told), sound.Spectrogram, start / _network.Frame);
            if (count > unseen)
                counts.AsSpan(row * window + unseen, count - unseen).Fill(1);
        }
        return new(
            InOwnScope(() =>
            [
                HostTensors.Index(samples, Device).view(windows.Length, window + 1),
                HostTensors.Index([.. windows.Select(w => (long)w.Sound.Condition)], Device).view(windows.Length, 1),
                HostTensors.FromRows(counts, windows.Length, window, Device),
                .. told > 0 ? [HostTensors.FromRows(frames, windows.Length, told, Device)] : Array.Empty<torch.Tensor>(),
            ]),
            windows.Length, [.. counts.Chunk(window).Select(row => (double)row.Sum())]);
    }
}
