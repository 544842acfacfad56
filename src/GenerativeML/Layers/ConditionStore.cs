using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What a conditional network knows of its conditions: their scale, and those of some training rows, to draw from.
/// Without conditions all of it is empty.
/// </summary>
internal sealed class ConditionStore : torch.nn.Module
{
    /// <summary>The most training rows whose conditions are stored.</summary>
    public const int MostRows = 10_000;

    private readonly torch.Tensor mean; // (C)
    private readonly torch.Tensor scale; // (C), one over the deviation
    private readonly torch.Tensor rows; // (rows, C), in the units of the data

    public ConditionStore(int storedRows, int width, torch.Device device)
        : base(nameof(ConditionStore))
    {
        Width = width;
        mean = torch.zeros([width], torch.ScalarType.Float32, device);
        scale = torch.zeros([width], torch.ScalarType.Float32, device);
        rows = torch.zeros([storedRows, width], torch.ScalarType.Float32, device);
        RegisterComponents();
    }

    /// <summary>Slots of all conditions together, C.</summary>
    public int Width { get; }

    /// <summary>The mean of each slot over the training rows, (C); of a key's slot, its share.</summary>
    public torch.Tensor Mean => mean;

    /// <summary>The conditions of a batch: all fields but the first, side by side, (B, C); null for none.</summary>
    public static torch.Tensor? Of(Batch batch) => batch.Fields.Count switch
    {
        1 => null,
        2 => batch[1],
        _ => torch.cat([.. batch.Fields.Skip(1)], 1),
    };

    /// <summary>A network's input with the conditions behind it, (B, …), (B, C) or null.</summary>
    public static torch.Tensor Join(torch.Tensor input, torch.Tensor? condition) =>
        condition is null ? input : torch.cat([input, condition], 1);

    /// <summary>Takes the scale of each condition and a sample of it, all of the same rows.</summary>
    public void Set(IReadOnlyList<ColumnMoments> moments, IReadOnlyList<RowSample> samples)
    {
        if (Width == 0)
            return;
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        long at = 0;
        for (int c = 0; c < moments.Count; c++)
        {
            long width = samples[c].Width;
            RobustScale.Set(mean.narrow(0, at, width), scale.narrow(0, at, width), moments[c]);
            at += width;
        }
        rows.copy_(Sampled(samples, rows.device));
    }

    /// <summary>The samples of several fields side by side, (rows, C).</summary>
    public static torch.Tensor Sampled(IReadOnlyList<RowSample> samples, torch.Device device) => torch.cat(
        [.. samples.Select(s => HostTensors.FromRows(s.ToArray(), s.Count, s.Width, device))], 1);

    /// <summary>Conditions in the units of the data → what networks see, (B, C) → (B, C); null for none.</summary>
    public torch.Tensor? Scaled(torch.Tensor? conditions) =>
        conditions is null ? null : RobustScale.Apply(conditions, mean, scale);

    /// <summary>
    /// Draws the conditions of so many rows, (count × C), and returns them as a network sees them; null for none.
    /// </summary>
    /// <param name="conditions">Where they are written, in the units of the data.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="seed">The seed of the draws.</param>
    /// <param name="where">
    /// What all rows have, (C): NaN in slots that are free. Empty: all are. Free ones come from a stored row that shares
    /// the others, or from any where none does.
    /// </param>
    public torch.Tensor? Draw(Span<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        if (Width == 0)
            return null;
        float[] stored = new float[rows.shape[0] * Width];
        HostTensors.CopyTo(rows, stored);
        ConditionDraws.Draw(stored, Width, conditions, count, seed, where);
        return Scaled(HostTensors.FromRows(conditions[..(count * Width)], count, Width, rows.device));
    }
}
