using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// Remembers patches of training images: of all of them so many, drawn at random in one pass (reservoir sampling, Vitter 1985), and
/// in the end of these the ones that lie farthest apart.
/// </summary>
internal sealed class PatchCoreFit : IClosedFormFit
{
    private readonly PatchCoreOptions _options;
    private readonly PatchCoreNetwork _network;
    private readonly int _seed;
    private readonly long _all; // patches of all training rows
    private readonly BackboneSession _backbone;
    private readonly Tensor _candidates, _seen; // (N, C), and how many patches there were so far
    private readonly Dictionary<string, Tensor> _maps;

    public PatchCoreFit(PatchCoreOptions options, PatchCoreNetwork network, RowStatistics rows)
    {
        (_options, _network, _seed) = (options, network, rows.Input.Seed);
        _all = rows.TrainingRows * network.Places;
        // What was made before an error is let go of by the scope.
        using DisposeScope scope = NewDisposeScope();
        _candidates = zeros([Candidates(options, rows.TrainingRows), network.PatchWidth]);
        _seen = zeros([1], ScalarType.Float64);
        _maps = network.StageMaps().ToDictionary(
            map => map.Name, map => HostTensors.FromRows(map.Values(), map.Rows, map.Columns, CPU));
        _backbone = network.OpenBackbone();
        foreach (Tensor tensor in Tensors)
            tensor.DetachFromDisposeScope();
    }

    private IEnumerable<Tensor> Tensors => [_candidates, _seen, .. _maps.Values];

    public IReadOnlyList<(string Name, Tensor Value)> State => [("candidates", _candidates), ("seen", _seen)];

    /// <summary>How many patches are drawn of some rows.</summary>
    public static int Candidates(PatchCoreOptions options, long rows)
    {
        BackboneStage grid = options.Backbone!.Stages[0];
        return (int)Math.Min(options.CandidatePatches, rows * grid.Height * grid.Width);
    }

    public Tensor Observe(Tensor rows)
    {
        using IDisposable noGradient = no_grad();
        long seen = (long)_seen.data<double>()[0];
        if (seen < _all) // rows of later passes are known
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor patches = PatchesOf(rows);
            // A place that is drawn twice belongs to the later patch.
            var drawn = new Dictionary<long, long>();
            for (long i = 0; i < patches.shape[0]; i++)
            {
                long number = seen + i, place = number;
                if (number >= _candidates.shape[0])
                    place = (long)(new SplitMix64(SplitMix64.Derive(_seed, RandomPurpose.Training, number)).NextDouble() * (number + 1));
                if (place < _candidates.shape[0])
                    drawn[place] = i;
            }
            if (drawn.Count > 0)
            {
                _candidates.index_copy_(
                    0, HostTensors.Index([.. drawn.Keys], CPU), patches.index_select(0, HostTensors.Index([.. drawn.Values], CPU)));
            }
            _seen.Add(patches.shape[0]);
        }
        return zeros([], device: rows.device);
    }

    public Tensor Loss(Tensor rows) => zeros([], device: rows.device);

    public void EndPass()
    {
    }

    public void CopyTo(HostWeights weights)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        // Fewer than there could have been where the run was cancelled: then some are remembered twice.
        long known = Math.Min((long)_seen.data<double>()[0], _candidates.shape[0]);
        long[] chosen = known <= _options.MemoryRows
            ? [.. Enumerable.Range(0, (int)known).Select(i => (long)i)]
            : Coreset.Choose(
                _candidates.narrow(0, 0, known), _options.MemoryRows, _seed,
                _options.CancellationBehavior == CancellationBehavior.ReturnModel, _options.CancellationToken);
        if (chosen.Length > 0)
        {
            long[] filled = [.. Enumerable.Range(0, _options.MemoryRows).Select(i => chosen[i % chosen.Length])];
            HostTensors.CopyTo(_candidates.index_select(0, HostTensors.Index(filled, CPU)), weights["memory"]);
        }
        _network.SetFixed(weights);
    }

    public void Dispose()
    {
        _backbone.Dispose();
        foreach (Tensor tensor in Tensors)
            tensor.Dispose();
    }

    // Standardised rows (B, D) → all their patches, (B · places, C).
    private Tensor PatchesOf(Tensor rows)
    {
        int count = (int)rows.shape[0], width = _network.Backbone.FeatureWidth;
        float[] images = new float[rows.numel()], features = new float[checked(count * width)];
        HostTensors.CopyTo(rows, images);
        _backbone.Run(count, images, features);
        if (features.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
        {
            throw new InvalidOperationException(
                $"What the network gives of a training image is NaN or infinite: {_network.BackboneName}. It may be damaged, or made for "
                + $"numbers of another range, which the options {nameof(PatchCoreOptions.ChannelMeans)} and "
                + $"{nameof(PatchCoreOptions.ChannelDeviations)} say.");
        }
        TorchTensor patches = _network.Patches<TorchTensor>(new TorchOps(_maps).Root, HostTensors.FromRows(features, count, width, CPU));
        return patches.Value.reshape(-1, _network.PatchWidth);
    }
}

/// <summary>Few rows that stand for many.</summary>
internal static class Coreset
{
    private const int Projected = 128; // features that distances are told by, as PatchCore takes them

    /// <summary>
    /// Numbers of rows (N, C), each the farthest from all that were chosen before it (greedy k-centre, Sener and Savarese 2018), the
    /// first by a seed; fewer where it ends early when it is cancelled. Rows of many features are compared by fewer, random
    /// mixtures of all (Johnson and Lindenstrauss 1984).
    /// </summary>
    public static long[] Choose(Tensor rows, int count, int seed, bool endsEarly = false, CancellationToken cancellation = default)
    {
        using DisposeScope all = NewDisposeScope();
        int width = (int)rows.shape[1];
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Initialization));
        Tensor points = rows;
        if (width > Projected)
        {
            float[] mixtures = new float[width * Projected];
            NormalNumbers.Fill(ref random, mixtures);
            points = rows.mm(HostTensors.FromRows(mixtures, width, Projected, CPU)).Scaled(1 / Math.Sqrt(Projected));
        }
        Tensor squares = points.Squared().sum(1);
        Tensor nearest = zeros_like(squares).Fill(double.PositiveInfinity);
        long[] chosen = new long[count];
        chosen[0] = random.Next((int)rows.shape[0]);
        for (int i = 0; i < count; i++)
        {
            if (cancellation.IsCancellationRequested && endsEarly)
                return chosen[..Math.Max(1, i)];
            cancellation.ThrowIfCancellationRequested();
            RunningComputations.StopIfExiting();
            using DisposeScope scope = NewDisposeScope();
            Tensor last = points[chosen[i]];
            // |x|² − 2·x·c, of which |c|² is missing.
            Tensor distances = squares.Plus(points.mv(last), -2).Plus(squares[chosen[i]]).relu();
            nearest.copy_(nearest.minimum(distances));
            nearest[chosen[i]].Fill(double.NegativeInfinity); // not once more, whatever rounding says
            if (i + 1 < count)
                chosen[i + 1] = nearest.argmax().item<long>();
        }
        return chosen;
    }
}
