using TorchSharp;

namespace GenerativeML;

/// <summary>Rows on the device, one tensor (Rows × Width) for each field of the source.</summary>
/// <param name="fields">The tensors.</param>
/// <param name="rows">Their rows.</param>
/// <param name="weight">What the batch counts in a mean over batches. Default: its rows.</param>
internal sealed class Batch(IReadOnlyList<torch.Tensor> fields, int rows, double? weight = null)
{
    /// <summary>The tensor of field <paramref name="field"/>, (Rows, Width).</summary>
    public torch.Tensor this[int field] => fields[field];

    /// <summary>The tensors of all fields.</summary>
    public IReadOnlyList<torch.Tensor> Fields => fields;

    /// <summary>The number of rows.</summary>
    public int Rows => rows;

    /// <summary>What the batch counts in a mean over batches.</summary>
    public double Weight => weight ?? rows;

    /// <summary>
    /// The rows in so many parts of about the same size, or fewer where there are fewer rows; views of this batch.
    /// </summary>
    public IEnumerable<Batch> Split(int parts)
    {
        parts = Math.Min(parts, rows);
        if (parts <= 1)
            return [this];
        return Enumerable.Range(0, parts).Select(i =>
        {
            int start = (int)((long)rows * i / parts), end = (int)((long)rows * (i + 1) / parts);
            return new Batch([.. fields.Select(f => f.narrow(0, start, end - start))], end - start);
        });
    }
}
