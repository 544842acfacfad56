using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a Coconet (Huang 2017, https://arxiv.org/abs/1903.07227) on music of voices, such as chorales: a convolutional
/// network that fills in whatever part of a piece is unknown, a voice to be harmonised, a gap, or all of it, by Gibbs
/// sampling.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.Coconet(CoconetOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Generation and completion of music, anomaly scores.</description></item>
/// <item><term>Input</term><description>A column of text, in each row a piece: <see cref="VoiceGrid.Parse"/>. All have as
/// many voices, and no unknown notes; rows without steps are left out.</description></item>
/// <item><term>Caching</term><description>The pieces are held in memory, four bytes a note; the column is read
/// once.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, TorchSharp-cpu or TorchSharp-cuda; a trained
/// model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// </remarks>
public sealed class CoconetTrainer : GenerativeEstimator<CoconetTransformer>
{
    private readonly CoconetOptions _options;

    internal CoconetTrainer(IHostEnvironment environment, CoconetOptions options)
        : base(environment, nameof(CoconetTrainer), options) => _options = options;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs();

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, _options.MusicColumnName, InputKind.Text, parameter);

    private protected override CoconetTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        List<VoiceGrid> pieces = Read(input, parameter);
        IEnumerable<int> pitches = pieces.SelectMany(Pitches).Where(pitch => pitch >= 0).DefaultIfEmpty(60);
        var range = new MusicRange(pieces[0].Voices, pitches.Min(), pitches.Max());
        CoconetOptions options = _options.Resolve(context.Seed);
        var network = new CoconetNetwork(options, range);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width, options.AtOnce(options.BatchSize!.Value * (long)network.PositionsPerRow));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new MusicWindows(pieces, network, device);
        TrainingRun run = TrainingRun.OfSteps(
            data, options, context, options.Steps, ("family", CoconetTransformer.SavedFamily.Name), ("bfloat16", bfloat16));
        HostWeights weights = NetworkFit.Run(network, network.Tensors, _ => { }, data, run, device, bfloat16);
        return new(new CoconetModel(network, weights, context.Device, context.FallbackToCpu));
    }

    private static IEnumerable<int> Pitches(VoiceGrid piece) =>
        from step in Enumerable.Range(0, piece.Steps) from voice in Enumerable.Range(0, piece.Voices) select piece[step, voice];

    private List<VoiceGrid> Read(IDataView input, string parameter)
    {
        int voices = 0;
        return new TextColumn(input, _options.MusicColumnName, parameter, _options.CancellationToken).Parse(
            ("music", "pieces", " cannot be used."), _options.CacheBudgetBytes, Piece, piece => sizeof(int) * (long)piece.Steps * piece.Voices);

        VoiceGrid? Piece(string text)
        {
            VoiceGrid piece = VoiceGrid.Parse(text);
            if (piece.Steps == 0)
                return null;
            if (!piece.IsComplete)
                throw new FormatException("It has unknown notes, and a model learns from known ones.");
            voices = voices == 0 ? piece.Voices : voices;
            return piece.Voices == voices
                ? piece : throw new FormatException($"It has {piece.Voices} voices, and those before have {voices}.");
        }
    }
}

/// <summary>
/// Windows of pieces: the classes of notes, voice by voice, (B, V·W); of each step within the piece where it is in
/// the metre, one of M is one, zeros for others, (B, W·M); and one for each note that is hidden, (B, V·W). An epoch is as
/// many windows as hold the pieces' steps.
/// </summary>
internal sealed class MusicWindows : TrainingData
{
    private readonly CoconetNetwork _network;
    private readonly VoiceGrid[] _trained, _held;
    private readonly int[] _order; // pieces, each as often as it has windows

    public MusicWindows(IReadOnlyList<VoiceGrid> pieces, CoconetNetwork network, torch.Device device)
        : base([new RowField(network.Options.MusicColumnName, FieldKind.Int64, network.Notes)], device, network.Options.Seed!.Value, null)
    {
        _network = network;
        var held = new ValidationRows(network.Options.ValidationFraction, Seed, pieces.Count - 1);
        ILookup<bool, VoiceGrid> parts = pieces.Select((piece, i) => (piece, IsHeld: held.Contains(i))).ToLookup(p => p.IsHeld, p => p.piece);
        (_trained, _held) = ([.. parts[false]], [.. parts[true]]);
        _order = [.. _trained.SelectMany((piece, i) => Enumerable.Repeat(i, (piece.Steps + network.Options.Window - 1) / network.Options.Window))];
        TrainingRows = _order.Length;
        ValidationRows = _held.Length;
    }

    public override IReadOnlyList<string> Fingerprints
    {
        get
        {
            var fingerprint = new Fingerprint();
            foreach (VoiceGrid piece in _trained.Concat(_held))
                fingerprint.Add(piece.ToString());
            return [fingerprint.ToString()];
        }
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        int[] order = [.. _order];
        new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch)).Shuffle(order.AsSpan());
        long batches = BatchesPerEpoch(batchSize);
        return MakeEach(batchSize, skip, number =>
        {
            var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Part, epoch * batches + number));
            int[] chosen = order[(int)RowsBefore(number, batchSize)..(int)RowsBefore(number + 1, batchSize)];
            return Make([.. chosen.Select(i => _trained[i])], _network.Options.Transposition, ref random);
        });
    }

    // A window of each piece, the same each time.
    public override IEnumerable<Batch> Validation(int batchSize)
    {
        int number = 0;
        foreach (VoiceGrid[] pieces in _held.Chunk(batchSize))
        {
            var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Validation, number++));
            yield return Make(pieces, 0, ref random);
        }
    }

    private Batch Make(VoiceGrid[] pieces, int transposition, ref SplitMix64 random)
    {
        int window = _network.Options.Window, notes = _network.Notes, metre = _network.Metre;
        long[] classes = new long[pieces.Length * notes];
        float[] inside = new float[pieces.Length * window * metre], hidden = new float[pieces.Length * notes];
        for (int row = 0; row < pieces.Length; row++)
        {
            VoiceGrid piece = pieces[row];
            int start = random.Next(Math.Max(1, piece.Steps - window + 1)), count = Math.Min(window, piece.Steps - start);
            int[] all = [.. Enumerable.Range(0, count * piece.Voices).Select(i => piece[start + i / piece.Voices, i % piece.Voices])];
            int up = Transposed(all, transposition, ref random);
            _network.Place(inside.AsSpan(row * window * metre, window * metre), start, count);
            int[] places = new int[all.Length];
            for (int i = 0; i < all.Length; i++)
            {
                places[i] = row * notes + i % piece.Voices * window + i / piece.Voices;
                classes[places[i]] = _network.Range.ClassOf(all[i] < 0 ? all[i] : all[i] + up);
            }
            random.Shuffle<int>(places);
            foreach (int place in places.AsSpan(0, 1 + random.Next(places.Length)))
                hidden[place] = 1;
        }
        return new(
            InOwnScope(() =>
            [
                HostTensors.Index(classes, Device).view(pieces.Length, notes), HostTensors.FromRows(inside, pieces.Length, window * metre, Device),
                HostTensors.FromRows(hidden, pieces.Length, notes, Device),
            ]),
            pieces.Length);
    }

    // By how many semitones a window is moved: as far as the pitches of training go.
    private int Transposed(int[] pitches, int most, ref SplitMix64 random)
    {
        int[] sounding = [.. pitches.Where(pitch => pitch >= 0)];
        if (most == 0 || sounding.Length == 0)
            return 0;
        int down = Math.Min(most, sounding.Min() - _network.Range.Lowest), up = Math.Min(most, _network.Range.Highest - sounding.Max());
        return random.Next(down + up + 1) - down;
    }
}
