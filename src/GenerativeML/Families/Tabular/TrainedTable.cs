using TorchSharp;

namespace GenerativeML;

/// <summary>Builds saved generators of tables again, whatever they are made of.</summary>
internal static class TrainedTable
{
    /// <summary>Builds a generator of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static ITableGenerator Load(TableShape table, TableModelShape shape, Stream weights, torch.Device device)
    {
        table.Check();
        shape.Check(table);
        return shape switch
        {
            TabularGanShape gan => TrainedTabularGan.Load(table, gan, weights, device),
            TabularVaeShape vae => TrainedTabularVae.Load(table, vae, weights, device),
            _ => throw new FormatException($"There is no generator of tables of shape {shape.GetType().Name}."),
        };
    }
}
