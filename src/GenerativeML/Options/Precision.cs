namespace GenerativeML;

/// <summary>The number format of matrix products while training.</summary>
public enum Precision
{
    /// <summary>
    /// <see cref="BFloat16"/> where such products are clearly faster on this device, as CPUs with AMX and a probe made
    /// once per process tell, and the network's are large enough to gain by it; <see cref="Float32"/> otherwise. The
    /// default.
    /// </summary>
    Auto,

    /// <summary>32-bit floating point throughout.</summary>
    Float32,

    /// <summary>
    /// Matrix products in bfloat16 (8 bits of exponent, 8 of precision), with weights, sums, losses and optimizer state
    /// in 32 bits. Fast on CPUs with AMX and on recent GPUs, slower than 32 bits elsewhere.
    /// </summary>
    BFloat16,
}
