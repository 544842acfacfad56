using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained Coconet: fills in what is unknown of pieces, makes others, and as a step of a pipeline does the first for rows,
/// or scores them. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not there,
/// torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class CoconetTransformer : GenerativeTransformer, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("coconet", Load);

    internal CoconetTransformer(CoconetModel model)
        : base(model)
    {
        Model = model;
        var builder = new DataViewSchema.Builder();
        builder.AddColumn(model.Network.Options.MusicColumnName, TextDataViewType.Instance);
        GeneratedSchema = builder.ToSchema();
    }

    /// <summary>The column of generated pieces: the one of training, text as <see cref="VoiceGrid.Parse"/> reads.</summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>
    /// What logits are divided by where notes are drawn. Above 0 and at most 10; saved with the model, and counts for what
    /// is drawn from then on. Default: the option of training.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is out of its range.</exception>
    public double Temperature
    {
        get => Model.Temperature;
        set => Model.Temperature = OptionChecks.Temperature(value);
    }

    /// <summary>The number of voices.</summary>
    public int Voices => Model.Network.Range.Voices;

    /// <summary>The lowest pitch that there is.</summary>
    public int LowestPitch => Model.Network.Range.Lowest;

    /// <summary>The highest pitch that there is.</summary>
    public int HighestPitch => Model.Network.Range.Highest;

    /// <summary>What computes.</summary>
    internal CoconetModel Model { get; }

    /// <inheritdoc/>
    /// <remarks>Pieces are as long as a window: option <see cref="CoconetOptions.Window"/>. There are no conditions.</remarks>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        RowCondition.RequireNone(where, "a Coconet has no conditions; Infill takes known notes");
        double temperature = Temperature;
        return new GeneratedDataView(
            new GeneratedItems<string>(
                GeneratedSchema, Model.BatchSize, seed, random => Model.Make(random, temperature), (_, piece) => ItemGetters.Text(piece)),
            rows);
    }

    /// <summary>Fills in what is unknown of a piece; all else stays.</summary>
    /// <param name="music">The piece, with as many voices as those of training; <see cref="VoiceGrid.Only"/> makes voices unknown.</param>
    /// <param name="seed">Other seeds give other music.</param>
    /// <exception cref="InvalidOperationException">It has other voices, or a pitch that training did not have.</exception>
    public VoiceGrid Infill(VoiceGrid music, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(music);
        Model.Network.Range.Check(music);
        return Model.Infill([music], [RowRandom.Of(seed, 0)], Temperature)[0];
    }

    /// <summary>What the score column tells of a piece; NaN where it has no known note.</summary>
    /// <param name="music">The piece.</param>
    /// <exception cref="InvalidOperationException">It has other voices, or a pitch that training did not have.</exception>
    public double Score(VoiceGrid music)
    {
        ArgumentNullException.ThrowIfNull(music);
        Model.Network.Range.Check(music);
        return Model.Score(music);
    }

    private protected override string Family => SavedFamily.Name;

    internal override OnnxPass? PassOf(OnnxContent content) => content != OnnxContent.Logits ? null : new(
        Model.Weights, new CoconetNetwork.LogitsPass(Model.Network),
        [
            ("notes", Model.Network.Notes * Model.Network.Range.Classes), ("known", Model.Network.Notes), ("inside", Model.Network.Options.Window * Model.Network.Metre),
        ],
        ["logits"]);

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer, new SavedCoconet(Model.Network.Options with { Temperature = Temperature }, Model.Network.Range), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    private static CoconetTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedCoconet saved = ModelJson.Read<SavedCoconet>(json);
        ModelJson.Check(saved.Options.Validate);
        if (saved.Range is not { Voices: > 0 and <= 1024, Lowest: >= 0, Highest: <= 127 } || saved.Range.Lowest > saved.Range.Highest)
            throw new FormatException("The saved model's voices or pitches are out of their ranges.");
        var network = new CoconetNetwork(saved.Options, saved.Range);
        return new(new CoconetModel(
            network, HostWeights.Load(weights, network.Tensors), HostDefaults.LoadingDevice(environment),
            MLNetInternals.FallbackToCpuOf(environment)));
    }
}

/// <summary>What <c>options.json</c> holds of a Coconet.</summary>
internal sealed record SavedCoconet(CoconetOptions Options, MusicRange Range);

/// <summary>A trained Coconet over rows. Safe to use from several threads.</summary>
internal sealed class CoconetModel(CoconetNetwork network, HostWeights weights, ComputeDevice device, bool fallbackToCpu) : IBatchModel
{
    // What is drawn anew falls from all to this share, and does so for this part of the rounds (Yao 2014).
    private const double LeastShare = 0.1, FallingPart = 0.75;

    // Steps of pieces whose logits are held at a time, and numbers of the largest layer of windows that are computed at once.
    private const int StepsTogether = 20_000, MaxNumbers = 1 << 24;

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);

    public CoconetNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    /// <summary>What logits are divided by.</summary>
    public double Temperature { get; set; } = network.Options.Temperature;

    public IReadOnlyList<RowField> Inputs { get; } = [new RowField(network.Options.MusicColumnName, FieldKind.Text, Width: 1)];

    public IReadOnlyList<OutputColumn> Outputs { get; } = network.Options.Outputs();

    public int BatchSize => 16;

    public NonFiniteReplacement? Replacement => null;

    private CoconetOptions Options => network.Options;

    private MusicRange Range => network.Range;

    /// <summary>Fills in pieces, each by random numbers of its own.</summary>
    public VoiceGrid[] Infill(IReadOnlyList<VoiceGrid> pieces, SplitMix64[] random, double temperature)
    {
        if (pieces.Count > 1 && pieces.Sum(piece => piece.Steps) > StepsTogether)
            return [.. pieces.SelectMany((piece, i) => Infill([piece], [random[i]], temperature))];
        VoiceGrid[] filled = [.. pieces];
        int[] open = [.. Enumerable.Range(0, filled.Length).Where(i => !filled[i].IsComplete)];
        double[] shares = new double[Range.Classes];
        for (int round = 0; round < Options.GibbsSteps && open.Length > 0; round++)
        {
            double share = Math.Max(LeastShare, 1 - (1 - LeastShare) * round / (FallingPart * Options.GibbsSteps));
            VoiceGrid[] hidden = [.. open.Select(i => pieces[i].With((step, voice) =>
                pieces[i][step, voice] != VoiceGrid.Unknown ? pieces[i][step, voice]
                : round == 0 || random[i].NextDouble() < share ? VoiceGrid.Unknown : filled[i][step, voice]))];
            float[][] logits = Logits(hidden);
            for (int k = 0; k < open.Length; k++)
            {
                VoiceGrid now = hidden[k];
                float[] said = logits[k];
                int i = open[k];
                filled[i] = now.With((step, voice) => now[step, voice] != VoiceGrid.Unknown
                    ? now[step, voice] : Drawn(said.AsSpan((step * Range.Voices + voice) * Range.Classes, Range.Classes), ref random[i]));
            }
        }
        return filled;

        int Drawn(ReadOnlySpan<float> logits, ref SplitMix64 random)
        {
            MixtureDensity.Weights(logits, temperature, shares);
            return Range.PitchOf(SplitMix64.Choose(shares, random.NextDouble()));
        }
    }

    /// <summary>Pieces as text, as long as a window, of which all was unknown.</summary>
    public string[] Make(SplitMix64[] random, double temperature)
    {
        int[] unknown = [.. Enumerable.Repeat(VoiceGrid.Unknown, Range.Voices)];
        var empty = new VoiceGrid(Enumerable.Repeat(unknown, Options.Window));
        return [.. Infill([.. random.Select(_ => empty)], random, temperature).Select(piece => piece.ToString())];
    }

    /// <summary>The mean of −log p over the notes of random parts that are hidden.</summary>
    public double Score(VoiceGrid piece)
    {
        int[] known = [.. Enumerable.Range(0, piece.Steps * Range.Voices).Where(i => piece[i / Range.Voices, i % Range.Voices] != VoiceGrid.Unknown)];
        if (known.Length == 0)
            return double.NaN;
        var random = new SplitMix64(SplitMix64.Derive(0, RandomPurpose.Scoring));
        HashSet<int>[] parts =
        [
            .. Enumerable.Range(0, Options.ScoreMasks).Select(_ =>
            {
                int[] order = [.. known];
                random.Shuffle<int>(order);
                return order[..(1 + random.Next(order.Length))].ToHashSet();
            }),
        ];
        double sum = 0;
        foreach (HashSet<int>[] some in parts.Chunk(Math.Clamp(StepsTogether / piece.Steps, 1, BatchSize)))
        {
            float[][] logits = Logits([.. some.Select(part => piece.With((step, voice) =>
                part.Contains(step * Range.Voices + voice) ? VoiceGrid.Unknown : piece[step, voice]))]);
            for (int k = 0; k < some.Length; k++)
            {
                double nats = 0;
                foreach (int note in some[k])
                {
                    ReadOnlySpan<float> said = logits[k].AsSpan(note * Range.Classes, Range.Classes);
                    double most = TensorPrimitives.Max(said), all = 0;
                    foreach (float logit in said)
                        all += Math.Exp(logit - most);
                    nats -= said[Range.ClassOf(piece[note / Range.Voices, note % Range.Voices])] - most - Math.Log(all);
                }
                sum += nats / some[k].Count;
            }
        }
        return sum / parts.Length;
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int score = outputs.NumberOf(Options.ScoreColumnName), infilled = outputs.NumberOf(Options.InfilledColumnName);
        var pieces = new VoiceGrid[rows];
        for (int row = 0; row < rows; row++)
        {
            try
            {
                pieces[row] = VoiceGrid.Parse(inputs.Texts(0)[row]);
                Range.Check(pieces[row]);
            }
            catch (Exception wrong) when (wrong is FormatException or InvalidOperationException)
            {
                throw new RowException(row, Inputs[0].Name, wrong);
            }
            if (score >= 0)
                outputs.Singles(score)[row] = (float)Score(pieces[row]);
        }
        if (infilled < 0)
            return;
        // The same random numbers for every row, so that what one becomes follows from it alone.
        VoiceGrid[] filled = Infill(pieces, [.. pieces.Select(_ => RowRandom.Of(0, 0))], Temperature);
        for (int row = 0; row < rows; row++)
            outputs.Texts(infilled)[row] = filled[row].ToString();
    }

    public void Dispose() => _inference.Dispose();

    /// <summary>The logits of all notes of pieces, (steps × voices × classes) each; what is unknown is hidden.</summary>
    private float[][] Logits(VoiceGrid[] pieces)
    {
        float[][] results = Array.ConvertAll(pieces, piece => new float[piece.Steps * Range.Voices * Range.Classes]);
        IEnumerable<SeenWindow> windows = pieces.SelectMany((piece, i) => Windows(piece.Steps, Options.Window)
            .Select(window => new SeenWindow(piece, results[i], window.Start, window.First, window.End)));
        long most = Math.Max(Math.Max((long)network.Notes * Range.Classes, (long)Options.Window * network.Metre), (long)Options.Window * 3 * Options.Width);
        int together = (int)Math.Max(1, MaxNumbers / most);
        foreach (SeenWindow[] some in windows.Chunk(together))
            Compute(some);
        return results;
    }

    private void Compute(SeenWindow[] windows)
    {
        int window = Options.Window, voices = Range.Voices, classes = Range.Classes, notes = network.Notes, metre = network.Metre, rows = windows.Length;
        float[] seen = new float[rows * notes * classes], known = new float[rows * notes], inside = new float[rows * window * metre];
        for (int row = 0; row < rows; row++)
        {
            (VoiceGrid piece, int start) = (windows[row].Piece, windows[row].Start);
            int count = Math.Min(window, piece.Steps - start);
            network.Place(inside.AsSpan(row * window * metre, window * metre), start, count);
            for (int i = 0; i < count * voices; i++)
            {
                (int step, int voice) = (i / voices, i % voices);
                if (piece[start + step, voice] == VoiceGrid.Unknown)
                    continue;
                int at = row * notes + voice * window + step;
                known[at] = 1;
                seen[at * classes + Range.ClassOf(piece[start + step, voice])] = 1;
            }
        }
        float[] logits = new float[rows * notes * classes];
        _inference.Run("logits", () => new CoconetNetwork.LogitsPass(network), rows, [seen, known, inside], [logits]);
        for (int row = 0; row < rows; row++)
        {
            for (int step = windows[row].First; step < windows[row].End; step++)
            {
                for (int voice = 0; voice < voices; voice++)
                    logits.AsSpan((row * notes + voice * window + step - windows[row].Start) * classes, classes)
                        .CopyTo(windows[row].Logits.AsSpan((step * voices + voice) * classes));
            }
        }
    }

    /// <summary>
    /// Windows that see a whole piece, each two of which overlap by half or more: where each starts, and the steps for which
    /// it counts, of several that see them the one that is nearest around them.
    /// </summary>
    public static IEnumerable<(int Start, int First, int End)> Windows(int steps, int window)
    {
        int first = 0;
        for (int start = 0; first < steps;)
        {
            bool isLast = start + window >= steps;
            start = isLast ? Math.Max(0, steps - window) : start;
            int next = start + window / 2 + window >= steps ? Math.Max(0, steps - window) : start + window / 2;
            int end = isLast ? steps : (next + start + window) / 2;
            yield return (start, first, end);
            (first, start) = (end, start + window / 2);
        }
    }

    private readonly record struct SeenWindow(VoiceGrid Piece, float[] Logits, int Start, int First, int End);
}
