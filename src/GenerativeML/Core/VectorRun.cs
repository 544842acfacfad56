using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>A run of training, for what follows it.</summary>
/// <param name="Statistics">What the first pass over the rows found.</param>
/// <param name="Data">The rows, standardised.</param>
/// <param name="Features">The scaler of features.</param>
/// <param name="Device">Where the network is trained.</param>
/// <param name="Snapshot">
/// Makes the model as it would be if training ended now, without what <see cref="VectorNetwork.Calibrate"/> learns. The
/// caller disposes it.
/// </param>
internal sealed record VectorRun(
    RowStatistics Statistics, TrainingData Data, VectorScaler Features, torch.Device Device,
    Func<TrainedVector> Snapshot)
{
    private const int MaxBlockRows = 4096;
    private const int MaxBlockValues = 1 << 20;

    /// <summary>
    /// The rows that were held back, standardised, (rows × D): at most so many, evenly spread over them.
    /// </summary>
    public float[] HeldBack(int most)
    {
        (int width, long rows) = (Statistics.Input.Width, Data.ValidationRows);
        float[] kept = new float[(int)Math.Min(most, rows) * width];
        int blockRows = Math.Clamp(MaxBlockValues / width, 1, MaxBlockRows);
        float[] block = new float[blockRows * width];
        long first = 0;
        int next = 0;
        foreach (Batch batch in Data.Validation(blockRows))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            HostTensors.CopyTo(batch[0], block.AsSpan(0, batch.Rows * width));
            foreach (torch.Tensor field in batch.Fields)
                field.Dispose();
            for (; next < kept.Length / width && Spread(next, kept.Length / width, rows) < first + batch.Rows; next++)
            {
                int row = (int)(Spread(next, kept.Length / width, rows) - first);
                block.AsSpan(row * width, width).CopyTo(kept.AsSpan(next * width));
            }
            first += batch.Rows;
        }
        return kept;
    }

    /// <summary>Rows that are trained on, standardised, (rows × D): chosen likewise.</summary>
    public float[] Training(int most)
    {
        RowSample sample = Statistics.Samples[0];
        int width = sample.Width, count = Math.Min(most, sample.Count);
        float[] all = sample.ToArray(), kept = new float[count * width];
        for (int row = 0; row < count; row++)
            all.AsSpan((int)Spread(row, count, sample.Count) * width, width).CopyTo(kept.AsSpan(row * width));
        Features.Apply(kept, kept);
        return kept;
    }

    // The places of a few among many.
    private static long Spread(int number, int few, long many) => number * many / few;
}

/// <summary>
/// Follows a run of training from step to step, and keeps what is to be known of it beside the weights. Its tensors are
/// part of checkpoints, so that a resumed run knows of all of it.
/// </summary>
internal abstract class VectorFollower() : torch.nn.Module("follower")
{
    /// <summary>Called when an update's loss has been computed.</summary>
    public abstract void AfterLoss(int update, IReadOnlyList<LossTerm> terms);

    /// <summary>Called when an update has moved its parameters, whose gradients are still there; without gradient.</summary>
    public abstract void AfterUpdate(int update, UpdateRule rule, StepContext step);

    /// <summary>Called after training: what is saved with the model, see <see cref="VectorModelState.Extra"/>.</summary>
    public abstract JsonElement Finish();
}
