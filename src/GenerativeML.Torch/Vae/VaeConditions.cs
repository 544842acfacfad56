using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>The conditions of a batch: all fields but the first, which is the modelled vector.</summary>
internal static class VaeConditions
{
    /// <summary>The fields side by side, (B, C); null where there are none.</summary>
    public static torch.Tensor? Join(Batch batch) => batch.Fields.Count switch
    {
        1 => null,
        2 => batch[1],
        _ => torch.cat([.. batch.Fields.Skip(1)], 1),
    };
}
